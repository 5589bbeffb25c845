"""Entities in BIO tags, and how many of them are found exactly."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from training.recipe.f1 import Hits
from training.recipe.tokens import Indexes

OUTSIDE = "O"


def bio_tags(labels: Sequence[str]) -> tuple[str, ...]:
    """The tags for these kinds of entities, in the head's order: O, then B and I of each kind, sorted."""
    return (OUTSIDE, *(f"{prefix}-{label}" for label in sorted(labels) for prefix in "BI"))


def entities(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """The entities in the tags of a row's words: first word, last word (exclusive) and kind.

    An I that follows no word of its kind begins an entity (as in CoNLL's evaluation, Tjong Kim Sang and Buchholz
    2000, which seqeval follows), and as the pool reads tags.
    """
    found = set()
    start, kind = 0, ""
    for index, tag in enumerate([*tags, OUTSIDE]):
        prefix, _, this = tag.partition("-")
        if kind and (prefix != "I" or this != kind):
            found.add((start, index, kind))
            kind = ""
        if this and not kind:
            start, kind = index, this
    return found


def hits(
    truth: Indexes, guesses: Indexes, row_starts: Indexes, tags: Sequence[str], labels: Sequence[str]
) -> Hits:
    """Entities by row and kind: found, there, and right, which is the same words and the same kind.

    truth, guesses: [words], positions in `tags`; row_starts: [rows + 1], each row's first word; labels: the kinds.
    """
    column = {label: index for index, label in enumerate(labels)}
    found, there, right = (np.zeros((len(row_starts) - 1, len(labels)), dtype=np.int64) for _ in range(3))
    for row, (start, end) in enumerate(pairwise(row_starts)):
        guessed = entities([tags[tag] for tag in guesses[start:end]])
        real = entities([tags[tag] for tag in truth[start:end]])
        for counts, some in ((found, guessed), (there, real), (right, guessed & real)):
            for _, _, kind in some:
                counts[row, column[kind]] += 1
    return Hits(found, there, right)
