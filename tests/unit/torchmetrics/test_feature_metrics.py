# SPDX-License-Identifier: Apache-2.0
"""Our measures in a training loop: the numbers of audit.stats, however the images come and on how many processes."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn
from torchmetrics import MetricCollection

from audit.errors import AnnotatorError
from audit.stats.cmmd import cmmd
from audit.stats.diversity import vendi_score
from audit.stats.frechet import Moments, frechet, frechet_to_fixed
from audit.stats.inception_score import inception_score
from audit.stats.kernel_distance import kernel_distance
from audit.stats.memorisation import memorisation
from audit.stats.neighbours import neighbours
from audit.torchmetrics import (
    CMMD,
    FrechetDistance,
    InceptionScore,
    KernelDistance,
    MiFID,
    NeighbourMetrics,
    VendiScore,
)

ALL = [FrechetDistance, KernelDistance, CMMD, NeighbourMetrics, InceptionScore, MiFID, VendiScore]
FOUR = ("precision", "recall", "density", "coverage")


def features(n: int, seed: int, shift: float = 0.0, d: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


REAL, FAKE = features(150, 1), features(120, 2, shift=0.4)


def images(n: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 8, 8), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


class Network(nn.Module):
    """Means of blocks of each channel, after dropout that only a network in training has."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.seen = nn.Dropout(0.5), 0

    def forward(self, x):
        self.seen += len(x)
        return nn.functional.adaptive_avg_pool2d(self.dropout(x.float() / 255), 2).flatten(1)


def filled(cls, **options):
    metric = cls(**options)
    metric.update(REAL, real=True)
    metric.update(FAKE, real=False)
    return metric


def expected(cls):
    x, y = FAKE.numpy(), REAL.numpy()
    if cls in {NeighbourMetrics, MiFID}:
        return {NeighbourMetrics: by_neighbours, MiFID: by_memory}[cls](x, y)
    if cls in {InceptionScore, VendiScore}:
        found = {InceptionScore: inception_score, VendiScore: vendi_score}[cls](x)
        return {name: getattr(found, name) for name in cls.keys}
    found = {FrechetDistance: frechet, KernelDistance: kernel_distance, CMMD: cmmd}[cls](x, y)
    named = {name: getattr(found, name) for name in ("low", "high", "standard_error")}
    value, raw = (found.corrected, found.value) if cls is CMMD else (found.value, found.raw)
    return {**named, "value": value, "raw": raw, "n": 120, "m": 150}


def by_neighbours(x, y):
    found = neighbours(x, y)
    parts = {"": "value", "_low": "low", "_high": "high", "_standard_error": "standard_error"}
    found = {f"{name}{end}": getattr(getattr(found, name), part) for name in FOUR for end, part in parts.items()}
    return {**found, "n": 120, "m": 150}


def by_memory(x, y):
    """Both parts in intervals of 97.5 %; the threshold is beyond either end, and 0 below."""
    far, near, wide = frechet(x, y, level=0.975), memorisation(x, y).distance, memorisation(x, y, level=0.975).distance
    assert (wide.high < 0.1, far.low > 0) == (True, True)
    return {
        "value": far.value / near.value,
        "low": far.low / wide.high,
        "high": far.high / wide.low,
        "raw": far.raw / near.value,
        "distance": near.value,
        "distance_low": near.low,
        "distance_high": near.high,
        "n": 120,
        "m": 150,
    }


def numbers(metric):
    return {name: value.item() for name, value in metric.compute().items()}


@pytest.mark.parametrize("cls", ALL)
def test_the_numbers_of_the_statistic(cls):
    found = filled(cls).compute()
    assert all(value.dtype == torch.float64 and value.ndim == 0 for value in found.values())
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected(cls), rel=1e-12)
    assert set(found) == set(cls.keys)


@pytest.mark.parametrize("cls", ALL)
def test_batches_give_the_same_as_all_at_once(cls):
    metric = cls()
    for start in range(0, 150, 40):
        metric.update(REAL[start : start + 40], real=True)
        metric.update(FAKE[start : start + 40])
    assert numbers(metric) == pytest.approx(expected(cls), rel=1e-12)


@pytest.mark.parametrize("cls", ALL)
def test_merging_two_states(cls):
    first, second = cls(), cls()
    for metric, half in ((first, slice(60)), (second, slice(60, None))):
        metric.update(REAL[half], real=True)
        metric.update(FAKE[half], real=False)
    first.merge_state(second)
    merged, whole = numbers(first), expected(cls)
    assert (merged["n"], merged.get("m", 150)) == (120, 150)
    names = FOUR if cls is NeighbourMetrics else ("value",)  # a jackknife's groups follow the order of the rows
    assert {name: merged[name] for name in names} == pytest.approx({name: whole[name] for name in names}, rel=1e-9)


@pytest.mark.parametrize("cls", ALL)
def test_copies_and_moves(cls):
    metric = filled(cls)
    whole = numbers(metric)
    for other in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric), metric.to("cpu")):
        other.update(FAKE[:0])  # what was computed before does not count any more
        assert numbers(other) == whole


@pytest.mark.parametrize("cls", ALL)
def test_too_few_images_are_no_number(cls):
    metric = cls()
    metric.update(REAL[:3], real=True)
    metric.update(FAKE[:4], real=False)
    with pytest.warns(UserWarning, match=f"{cls.__name__} has no number: "):
        found = metric.compute()
    assert set(found) == set(cls.keys)
    assert found["n"] == 4
    assert found.get("m", 3) == 3
    assert all(value.isnan() for name, value in found.items() if name not in {"n", "m"})
    assert "needs" in metric.why or "at least 20" in metric.why
    metric.update(REAL, real=True)
    metric.update(FAKE, real=False)
    assert not any(value.isnan() for value in metric.compute().values())
    assert metric.why is None


def test_fixed_statistics_take_the_place_of_real_images():
    moments = Moments.of(REAL.numpy())
    metric = FrechetDistance(reference=moments)
    metric.update(FAKE)
    found = frechet_to_fixed(FAKE.numpy(), moments)
    assert (metric.compute()["value"], metric.compute()["high"]) == (found.value, found.high)


def test_level_and_neighbours():
    narrow, wide = (numbers(filled(KernelDistance, level=level)) for level in (0.5, 0.99))
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]
    assert filled(VendiScore, order=2.0).compute()["value"] == vendi_score(FAKE.numpy(), order=2.0).value
    found = numbers(filled(NeighbourMetrics, k=3))
    assert found["coverage"] == neighbours(FAKE.numpy(), REAL.numpy(), k=3).coverage.value
    with pytest.raises(AnnotatorError, match="level is 95"):
        KernelDistance(level=95)


def test_real_features_outlive_a_reset_on_demand():
    kept, forgot = filled(KernelDistance, reset_real_features=False), filled(KernelDistance)
    for metric in (kept, forgot):
        metric.reset()
    assert (len(kept.real), len(kept.fake), len(forgot.real)) == (1, 0, 0)
    kept.update(FAKE)
    assert numbers(kept) == expected(KernelDistance)
    kept.reset()
    kept.update(FAKE)
    assert numbers(kept) == expected(KernelDistance)


def test_a_collection_embeds_each_image_once():
    network = Network().train()
    together = MetricCollection([KernelDistance(network), CMMD(network), NeighbourMetrics(network)])
    together.update(images(40, 1), real=True)  # the first batch shows that they are alike
    first = network.seen
    for seed in (2, 3):
        together.update(images(40, seed), real=seed == 2)
    assert network.seen - first == 80
    assert network.training
    network.eval()
    real, fake = torch.cat([network(images(40, 1)), network(images(40, 2))]), network(images(40, 3))
    found = together.compute()
    assert found["KernelDistance_value"] == kernel_distance(fake.numpy(), real.numpy()).value
    assert found["CMMD_raw"] == cmmd(fake.numpy(), real.numpy()).value
    assert found["NeighbourMetrics_recall"] == neighbours(fake.numpy(), real.numpy()).recall.value


def test_logits_of_real_images_are_not_taken():
    network = Network()
    metric = InceptionScore(network)
    metric.update(images(40, 1), real=True)
    assert network.seen == 0
    metric.update(images(40, 1))
    with torch.no_grad():
        assert metric.compute()["value"] == inception_score(network.eval()(images(40, 1)).numpy()).value


def test_a_replayed_training_image_is_seen_in_the_right_direction():
    """100 of 2000 training images, over and over: torchmetrics averages over the training images and sees little."""
    training = features(2000, 5, d=16)
    replay = training[torch.arange(2000) % 100]
    metric = MiFID()
    metric.update(training, real=True)
    metric.update(replay)
    found = numbers(metric)
    assert found["distance"] < 1e-12
    assert found["value"] > 1e6
    fresh, distance = MiFID(), FrechetDistance(level=0.975)
    for one in (fresh, distance):
        one.update(training, real=True)
        one.update(features(2000, 6, d=16))
    told, plain = numbers(fresh), numbers(distance)
    assert told["distance_low"] > 0.1  # nothing is taken to be memorised: the Frechet distance itself
    assert [told[end] for end in ("value", "low", "high")] == [plain[end] for end in ("value", "low", "high")]


def test_no_gradients_are_kept():
    metric = KernelDistance(nn.Sequential(Network(), nn.Linear(12, 5)))
    metric.update(images(6, 1), real=True)
    assert not metric.real[0].requires_grad
    plain = KernelDistance()
    plain.update(FAKE.clone().requires_grad_())
    plain.update(FAKE.half())
    assert [(side.requires_grad, side.dtype) for side in plain.fake] == [(False, torch.float32)] * 2


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        (Network(), images(2, 0) / 255, "images are levels 0 to 255 as uint8, got torch.float32"),
        (Network(), images(2, 0).permute(0, 2, 3, 1), "images are (n, 3, height, width), got (2, 8, 8, 3)"),
        (nn.Identity(), images(2, 0), "Identity of the images is torch.uint8 (2, 3, 8, 8)"),
        (None, images(2, 0), "what was given is torch.uint8 (2, 3, 8, 8)"),
        (None, FAKE[0], "what was given is torch.float32 (5,)"),
    ],
)
def test_other_inputs_are_refused(network, given, message):
    with pytest.raises(AnnotatorError) as caught:
        KernelDistance(network).update(given)
    assert message in caught.value.message
    assert caught.value.where == "KernelDistance.update"
    assert caught.value.hint


def test_why_fractions_are_refused():
    """What torchmetrics does with them: decoders overshoot, and the brightest value becomes the darkest."""
    assert (torch.tensor([0.999, 1.01]) * 255).byte().tolist() == [254, 1]


PROCESSES = """
    import json, sys, torch, torch.distributed as dist, torch.multiprocessing as mp
    from audit.torchmetrics import CLIPScore, FrechetDistance, KernelDistance

    def part(rank, folder):
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
        real, fake = torch.load(f"{folder}/features.pt")
        mine = slice(50) if rank == 0 else slice(50, None)
        found = {}
        for cls in (FrechetDistance, KernelDistance):
            metric = cls()
            metric.update(real[mine], real=True)
            for batch in fake[mine].split(30):
                metric.update(batch, real=False)
            found[cls.__name__] = {k: v.item() for k, v in metric.compute().items()}
        score = CLIPScore()
        score.update(fake[mine], real[:120][mine])
        found["CLIPScore"] = {k: v.item() for k, v in score.compute().items()}
        json.dump(found, open(f"{folder}/{rank}.json", "w"))
        dist.destroy_process_group()

    mp.start_processes(part, args=(sys.argv[1],), nprocs=2, start_method="fork")
"""


def test_two_processes_with_unequal_shares(tmp_path):
    from audit.torchmetrics import CLIPScore

    torch.save((REAL, FAKE), tmp_path / "features.pt")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(PROCESSES))
    around, line = (
        {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        [sys.executable, script, tmp_path],
    )
    done = subprocess.run(line, capture_output=True, text=True, env=around, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    score = CLIPScore()
    score.update(FAKE, REAL[:120])
    alone = {cls.__name__: expected(cls) for cls in (FrechetDistance, KernelDistance)} | {"CLIPScore": numbers(score)}
    for rank in (0, 1):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        for name, whole in alone.items():
            assert found[name] == pytest.approx(whole, rel=1e-9), name
