# SPDX-License-Identifier: Apache-2.0
"""Generate an image (or a batch), score each with every model, sign it and save it, then the next one.

``python -m benchmarks.scripts.one_after_the_other MODEL BATCH OUT < requests``. The instruments and the signature are
those of genaudit, called as anybody would call them; only the order of the work is different.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from audit.provenance import Claim, Stamper
from audit.registry import ANNOTATORS
from audit.types import ImageRecord

pipeline = StableDiffusionPipeline.from_pretrained(sys.argv[1])
pipeline.set_progress_bar_config(disable=True)
batch, out = int(sys.argv[2]), Path(sys.argv[3])
out.mkdir(parents=True)
names = ("attributes", "clip", "credentials", "faults", "likeness", "skin_tone")  # what an audit uses by default
instruments = [ANNOTATORS.get(name)() for name in names]
stamper = Stamper(tool_version="benchmark")
asked = [json.loads(line) for line in sys.stdin]
scores = []
for start in range(0, len(asked), batch):
    part = asked[start : start + batch]
    images = pipeline(
        [row["text"] for row in part],
        num_inference_steps=20,
        guidance_scale=1.5,
        generator=[torch.Generator().manual_seed(row["seed"]) for row in part],
    ).images
    for row, image in zip(part, images, strict=True):
        sink = io.BytesIO()
        image.save(sink, "PNG")
        claim = Claim(
            title=row["id"],
            generator="bench",
            generator_digest=None,
            request_id=row["id"],
            prompt_sha256=hashlib.sha256(row["text"].encode()).hexdigest(),
            seed=str(row["seed"]),
            when=datetime.now(UTC),
        )
        data = stamper.stamp(sink.getvalue(), claim).data
        (out / f"{row['id']}.png").write_bytes(data)
        record = ImageRecord(row["id"], hashlib.sha256(data).hexdigest(), row["text"], data, np.asarray(image))
        scores.append([instrument.annotate([record]) for instrument in instruments])
print(len(scores))
