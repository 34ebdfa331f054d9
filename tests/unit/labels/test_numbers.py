# SPDX-License-Identifier: Apache-2.0
"""What the labels are for: a share that an instrument gets wrong comes out right, whoever was drawn or stopped."""

from __future__ import annotations

import numpy as np

from audit.labels._sample import Image, draw
from audit.labels._table import Answer, weighed
from audit.stats.ppi import indicators, ppi_shares

N, DRAWN, ANSWERED = 900, 160, 120  # images, shown to the rater, answered before the rater stopped
SHARES = np.linspace(0.05, 0.95, 4)  # of the group, by slice
GROUPS = ("feminine", "masculine")


def test_weights_of_a_skewed_and_cut_off_sample_give_the_true_share():
    rng = np.random.default_rng(0)
    off, labels_off, answers_off, covered = [], [], [], 0
    for _ in range(150):
        slice_ = np.where(rng.random(N) < 0.3, 0, rng.integers(0, 4, N))
        truth = rng.random(N) < SHARES[slice_]
        said = np.where(truth, rng.random(N) < 0.75, rng.random(N) < 0.05)  # misses a quarter of the group
        images = [Image(str(i), "g", "p", "", "", "", {}, f"{slice_[i]}|{said[i]}") for i in range(N)]
        sample = draw(images, n=DRAWN, least=15, rng=rng)
        inclusion = {stratum.name: stratum.inclusion for stratum in sample.strata}
        seen = [sample.images[k] for k in rng.permutation(DRAWN)[:ANSWERED]]
        where = [(i.stratum, inclusion[i.stratum]) for i in seen]
        answers = [
            Answer(
                "r", i.request_id, 1, "a", GROUPS[int(truth[int(i.request_id)])], "", i.request_id, *[""] * 5, *place
            )
            for i, place in zip(seen, where, strict=True)
        ]
        kept = weighed(answers, {stratum.name: stratum.images for stratum in sample.strata})
        labels = indicators([answer.label for answer in kept], GROUPS)
        rows = np.array([int(answer.request_id) for answer in kept])
        weights = np.array([answer.weight for answer in kept])
        assert np.isclose(weights.sum(), N)
        found = ppi_shares(
            labels, indicators([GROUPS[a] for a in said.astype(int)], GROUPS), rows, inclusion=1 / weights
        )
        share = found[1].interval
        aim = SHARES[slice_].mean()
        off.append(share.value - aim)
        covered += share.low <= aim <= share.high
        labels_off.append(labels[:, 1].mean() - aim)
        answers_off.append(said.mean() - aim)
    assert abs(np.mean(off)) < 4 * np.std(off) / len(off) ** 0.5
    assert covered >= 135  # of 150 at 95 %: fewer than that one time in two hundred
    for wrong in (labels_off, answers_off):  # neither plain labels nor plain answers would have done
        assert abs(np.mean(wrong)) > 4 * np.std(wrong) / len(wrong) ** 0.5
