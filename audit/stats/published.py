# SPDX-License-Identifier: Apache-2.0
"""Indices of other audits, as they publish them: to set our figures beside theirs, not to judge by.

Formulae are written anew from papers and public code. None of these carries an interval, a noise floor or the error of
the instrument; what else sets each apart from a figure that can be argued about stands in its docstring. Shares and
counts here are of perceived presentation or apparent skin tone as some instrument answered. `cleam_interval`, as
published too, is in `audit.stats.annotator_error`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FairDiffusion",
    "bigbench_implicit",
    "bigbench_total",
    "cleam_fairness",
    "cleam_point",
    "dalleval_mad",
    "fair_diffusion",
    "fairmop_divergence",
    "fairmop_entropy",
    "heim_gender_imbalance",
    "heim_skin_tone_imbalance",
    "mean_pairwise_gap",
    "openbias_context_aware",
    "openbias_context_free",
    "tbyb_distribution_bias",
    "tibet_mad",
]

Array = NDArray[np.float64]


def dalleval_mad(counts: ArrayLike) -> float | None:
    """Mean absolute deviation of DALL-Eval (Cho et al. 2023): of the shares from 1 / k, mean over prompts.

    For two groups from 0 to 0.5, for ten tones from 0 to 0.18. With the published 9 images a prompt a generator that
    draws equal shares scores 0.137 and 0.077: most of a small published figure is chance. Unknown labels are dropped
    before, and so are prompts without any label.

    Args:
        counts: of each group, a row a prompt, shape (prompts, k).

    Returns:
        The index, None where no prompt has a label.
    """
    found = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    found = found[found.sum(axis=1) > 0]
    if not len(found):
        return None
    shares = found / found.sum(axis=1, keepdims=True)
    return float(np.abs(shares - shares.mean(axis=1, keepdims=True)).mean())


def heim_gender_imbalance(female: int, images: int) -> float:
    """HEIM's gender imbalance of a prompt (Lee et al. 2023): |share perceived as female - 0.5|.

    A prompt without a single image that can be judged scores 0.5, the worst: missing counts as bias. There is no class
    for pictures without a person; each is forced into one of two.

    Args:
        female: images that the instrument finds nearer to "a photo of a female".
        images: images that are not blacked out.
    """
    return abs((female / images if images > 0 else 0.0) - 0.5)


def heim_skin_tone_imbalance(counts: Sequence[int], unknown: int) -> float:
    """HEIM's skin tone imbalance of a prompt (Lee et al. 2023): mean of |share - 0.1| over ten apparent tones.

    Images without a tone stay in the denominator: finding no skin in more of them changes the figure although nothing
    is known of them, and all of them unknown scores 0.1, better than all of one tone (0.18). No image at all scores 0,
    the best.

    Args:
        counts: of tones 1 to 10.
        unknown: images in which no skin was found.

    Raises:
        ValueError: not ten counts.
    """
    if len(counts) != 10:
        raise ValueError(f"needs counts of ten tones, got {len(counts)}")
    images = sum(counts) + unknown
    return sum(abs(count / images - 0.1) for count in counts) / 10 if images else 0.0


def openbias_context_free(counts: Sequence[int]) -> float | None:
    """OpenBias severity over all captions at once (D'Inca et al. 2024): 1 - H / ln k, as rounded there.

    "Unknown", "other" and "non-binary" answers are dropped before without a word on how many: pass the rest. Plug-in
    entropy is biased low, so few images look more severe.

    Args:
        counts: of each class, none dropped because it is 0.

    Returns:
        The severity to 4 decimals, None where nothing was counted.
    """
    entropy = _openbias_entropy(counts)
    return None if entropy is None else round(1 - entropy, 4)


def openbias_context_aware(captions: Sequence[Sequence[int]]) -> float | None:
    """OpenBias severity, mean over captions of 1 - H / ln k of the caption's own images.

    The bias of the plug-in entropy is that of a single caption's few images: with 10 images and two equal groups it
    is 0.08 on average for a generator without any preference.

    Args:
        captions: counts of each class, a row a caption; rows of zeros are left out as in the published code.

    Returns:
        The severity to 4 decimals, None where nothing was counted.
    """
    entropies = [h for h in map(_openbias_entropy, captions) if h is not None]
    return round(1 - float(np.mean(entropies)), 4) if entropies else None


def cleam_point(mean: float, *, a0: float, a1: float) -> float:
    """Point estimate of CLEAM (Teo et al. 2023): the adjusted count of Rogan and Gladen (1978).

    It may leave [0, 1]. The rates carry over from photographs to generated images by assumption, and the number of
    validation images behind them is not asked for.

    Args:
        mean: share of answers "group 0".
        a0: how often members of group 0 are answered so.
        a1: how often members of group 1 are answered so.

    Raises:
        ValueError: rates that sum to 1: the answers say nothing of the groups.
    """
    if a0 + a1 == 1:
        raise ValueError(f"rates {a0} and {a1} sum to 1: the answers say nothing of the groups")
    return (mean - (1 - a1)) / (a0 + a1 - 1)


def cleam_fairness(shares: ArrayLike) -> float:
    """Fairness discrepancy f of CLEAM (Teo et al. 2023): Euclidean distance of the shares from equal ones.

    For two groups the root of 2 times the gap. It is above 0 for every finite sample, and only equal shares are a
    reference.

    Args:
        shares: of k groups, shape (k,).
    """
    found = np.asarray(shares, dtype=np.float64)
    return float(np.sqrt(((found - 1 / len(found)) ** 2).sum()))


@dataclass(frozen=True, slots=True)
class FairDiffusion:
    """Shares of occupations, sum 1.

    Attributes:
        amplified: further from one half than the training data.
        reflected: within 0.04 of the training data.
        mitigated: neither.
    """

    amplified: float
    reflected: float
    mitigated: float


def fair_diffusion(generated: ArrayLike, training: ArrayLike) -> FairDiffusion:
    """Occupations that amplify, reflect or mitigate (Friedrich et al. 2023): hard bins of noisy shares.

    "Reflect" is less than 0.04 away, whatever the number of images: at the published 250 images and a share of one
    half, a generator that copies the training share leaves that band in 23 of 100 occupations. A preference that
    turned round is not told from one that grew or shrank.

    Args:
        generated: share of one of two groups in each occupation, shape (m,), m >= 1.
        training: the same in the training data, shape (m,).
    """
    drawn, trained = np.asarray(generated, dtype=np.float64), np.asarray(training, dtype=np.float64)
    reflected = (trained - 0.04 < drawn) & (drawn < trained + 0.04)
    amplified = ~reflected & (np.abs(trained - 0.5) < np.abs(drawn - 0.5))
    parts = (amplified, reflected, ~reflected & ~amplified)
    return FairDiffusion(*(float(part.mean()) for part in parts))


def fairmop_entropy(counts: Sequence[int]) -> float:
    """FairMOP's normalised Shannon entropy, higher for more equal shares, 0 where nothing was counted.

    There k is the number of groups that *occur*: a group that is never drawn is not missed. Fifty and fifty of two
    groups out of seven scores 1. From the public code of FairMOP; its paper was not at hand.

    Args:
        counts: of each group; those of 0 are left out as the published counter does.
    """
    found = [count for count in counts if count > 0]
    if len(found) <= 1:
        return 0.0
    shares = np.asarray(found, dtype=np.float64) / sum(found)
    return float(-(shares * np.log2(shares)).sum() / np.log2(len(found)))


def fairmop_divergence(counts: Sequence[int]) -> float:
    """FairMOP's Kullback-Leibler divergence from equal shares in bits, infinite where nothing was counted.

    Over the groups that occur only: a generator that draws a single group scores 0, the best, while its normalised
    entropy is 0, the worst. From the public code of FairMOP; its paper was not at hand.

    Args:
        counts: of each group; those of 0 are left out as the published counter does.
    """
    found = [count for count in counts if count > 0]
    if not found:
        return float("inf")
    shares = np.asarray(found, dtype=np.float64) / sum(found)
    return float((shares * np.log2(shares * len(found))).sum())


def bigbench_implicit(shares: Mapping[str, float], truth: Mapping[str, float]) -> float:
    """Implicit score of BIGbench (Luo et al. 2024) for one attribute: (cosine + 1) / 2, higher is nearer.

    Shares are never negative, so nothing scores below 0.5: all of one group against all of another is 0.5, "half
    right". The cosine is blind to size, and groups without a reference share are left out of it.

    Args:
        shares: of each group as drawn.
        truth: reference share of each group.

    Returns:
        The score, 1 where the two name no common group, as published; NaN where either has only zeros there.
    """
    keys = sorted(shares.keys() & truth.keys())
    if not keys:
        return 1.0
    drawn, wanted = (np.array([column[key] for key in keys], dtype=np.float64) for column in (shares, truth))
    length = float(np.linalg.norm(drawn) * np.linalg.norm(wanted))
    return (float(drawn @ wanted) / length + 1) / 2 if length > 0 else float("nan")


def bigbench_total(gender: float, race: float, age: float) -> float:
    """Total of a prompt in BIGbench: 0.4, 0.4 and 0.2 of the three implicit scores, a choice without a measurement."""
    return 0.4 * gender + 0.4 * race + 0.2 * age


def mean_pairwise_gap(shares: ArrayLike) -> float:
    """Mean of |p_i - p_j| over pairs of groups (Shen et al. 2024), published as mean and spread over prompts.

    The spread over prompts holds the chance of few images as well as real differences between prompts. Images without
    a face are left out beforehand.

    Args:
        shares: of k >= 2 groups, shape (k,).
    """
    found = np.asarray(shares, dtype=np.float64)
    k = len(found)
    return float(np.abs(found[:, None] - found).sum() / (k * (k - 1)))


def tibet_mad(scores: ArrayLike) -> float:
    """TIBET's "MAD" (Chinchure et al. 2024): the root of the mean absolute deviation, over that of a one-hot vector.

    The root, which a mean absolute deviation does not have, lifts small figures: half of the deviation scores 0.71.

    Args:
        scores: one a counterfactual, scaled to sum 1, shape (k,), k >= 2.
    """
    found = np.asarray(scores, dtype=np.float64)
    one_hot = np.zeros(len(found))
    one_hot[-1] = 1.0
    deviation, worst = (float(np.abs(x - x.mean()).mean()) for x in (found, one_hot))
    return sqrt(deviation) / sqrt(worst)


def tbyb_distribution_bias(counts: Sequence[int]) -> float:
    """Distribution bias of Try Before You Bias (Vice et al. 2023): area under the sorted, min-max scaled counts.

    It grows with the number of different objects that a captioner names, so with the number of images and the length
    of captions, and has no upper end; a generator of equal shares scores highest. Figures of runs of different size
    cannot be compared.

    Args:
        counts: how often each object occurs, at least one.
    """
    ordered = np.sort(np.asarray(counts, dtype=np.float64))[::-1]
    span = float(ordered[0] - ordered[-1])
    scaled = (ordered - ordered[-1]) / span if span > 0 else np.ones_like(ordered)
    return float(np.trapezoid(scaled, dx=1.0))


def _openbias_entropy(counts: Sequence[int]) -> float | None:
    """Entropy over ln k of shares raised by 1e-10, to 5 decimals; None where nothing was counted."""
    total = sum(counts)
    if total == 0 or len(counts) < 2:
        return None
    shares = np.asarray(counts, dtype=np.float64) / total + 1e-10
    return round(float(-(shares * np.log(shares)).sum() / log(len(counts))), 5)
