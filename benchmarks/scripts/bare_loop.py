# SPDX-License-Identifier: Apache-2.0
"""A loop over a diffusers pipeline and nothing else: ``python -m benchmarks.scripts.bare_loop MODEL BATCH < requests``.

Requests come as JSON lines with ``text`` and ``seed``.
"""

from __future__ import annotations

import json
import sys

import torch
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained(sys.argv[1])
pipeline.set_progress_bar_config(disable=True)
batch = int(sys.argv[2])
asked = [json.loads(line) for line in sys.stdin]
drawn = 0
for start in range(0, len(asked), batch):
    part = asked[start : start + batch]
    drawn += len(
        pipeline(
            [row["text"] for row in part],
            num_inference_steps=20,
            guidance_scale=1.5,
            generator=[torch.Generator().manual_seed(row["seed"]) for row in part],
            output_type="np",
        ).images
    )
print(drawn)
