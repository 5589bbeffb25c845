"""Entities in a text, from the tags of its words (BIO: B- begins one, I- goes on, O is outside)."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.pool.base import Word

_OUTSIDE = "O"


@dataclass(frozen=True, slots=True)
class Entity:
    """Characters [start, end) of a text that are a `label`; `score` is the mean probability of its words' tags."""

    start: int
    end: int
    label: str
    score: float


def merge(
    words: Sequence[Word], probabilities: Sequence[Sequence[float]], tags: Sequence[str]
) -> list[Entity]:
    """Entities from each word's probability for each of `tags`; the likeliest tag of a word is its own.

    An I- that follows no word of its type begins an entity, as does a change of type: a model may say so.
    """
    runs: list[tuple[str, list[Word], list[float]]] = []
    previous = ""
    for word, row in zip(words, probabilities, strict=True):
        score = max(row)
        tag = tags[row.index(score)]
        label = "" if tag == _OUTSIDE else tag[2:]
        if label and (tag.startswith("B-") or label != previous):
            runs.append((label, [], []))
        if label:
            runs[-1][1].append(word)
            runs[-1][2].append(score)
        previous = label
    return [
        Entity(members[0].start, members[-1].end, label, sum(scores) / len(scores))
        for label, members, scores in runs
    ]
