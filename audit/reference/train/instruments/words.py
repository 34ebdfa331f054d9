# SPDX-License-Identifier: Apache-2.0
"""The CLIP's tokenizer: byte-pair encoding learnt from the words of the reference world, the same on every run."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

from audit.reference.world import VOCABULARY

#: Longest text in tokens.
LONGEST: Final = 48
END: Final = "</w>"


def merges_of(words: Sequence[str]) -> list[tuple[str, str]]:
    """Learn merges until every word is one token (Sennrich et al. 2016, algorithm 1).

    Of equally frequent pairs the one with the older tokens goes first; the learner of `tokenizers` leaves that to a
    hash map, so its order changes from run to run.
    """
    age = {token: k for k, token in enumerate(_letters())}
    splits = [[*word[:-1], word[-1] + END] for word in words]
    merges = []
    while any(len(split) > 1 for split in splits):
        counts = Counter(pair for split in splits for pair in itertools.pairwise(split))
        best = min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age.setdefault("".join(best), len(age))
        for split in splits:
            for k in range(len(split) - 2, -1, -1):
                if tuple(split[k : k + 2]) == best:
                    split[k : k + 2] = ["".join(best)]
    return merges


def tokenizer() -> CLIPTokenizer:
    """Build a `CLIPTokenizer` in which every word of the world is one token and other words fall into letters."""
    merges: list[Any] = list(merges_of([word for word in VOCABULARY if word.isalpha()]))
    tokens = [*dict.fromkeys([*_letters(), *("".join(pair) for pair in merges)]), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: k for k, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LONGEST)


def _letters() -> list[str]:
    """Every byte as a letter, inside a word and at its end."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    return [*letters, *(letter + END for letter in letters)]
