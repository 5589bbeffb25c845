"""Texts cut into pieces at their entities, for pages that show where those are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.privacy.entities import ENTITIES
from core.privacy.placeholders import escape

TONES = 6
"""How many colours tell types of entities apart; static/css has as many."""

KIND_TITLES = {entity.name: entity.title for entity in ENTITIES}
KIND_TONES = {entity.name: number % TONES for number, entity in enumerate(ENTITIES)}
"""A colour's number for each kind of personal data: the commonest, which come first, differ."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text; `label` is the type of the entity that it is, if it is one."""

    text: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """An entity in a text: characters `start` to `end` (exclusive)."""

    start: int
    end: int
    label: str


def cut(text: str, spans: Iterable[Span]) -> list[Piece]:
    """`text` in pieces; of spans that overlap the first one counts."""
    found: list[Piece] = []
    at = 0
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if span.start < at:
            continue
        if at < span.start:
            found.append(Piece(text[at : span.start]))
        found.append(Piece(text[span.start : span.end], span.label))
        at = span.end
    if at < len(text):
        found.append(Piece(text[at:]))
    return found


def find_all(text: str, labels: Mapping[str, str]) -> list[Piece]:
    """`text` in pieces at the values that `labels` names, wherever one stands by itself; the longest first."""
    values = sorted(labels, key=len, reverse=True)
    if not values:
        return cut(text, ())
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)"
    return cut(text, [Span(*match.span(), labels[match[0]]) for match in re.finditer(pattern, text)])


def replaced(pieces: Iterable[Piece], replacements: Iterable[str]) -> list[Piece]:
    """The pieces of a text as it is stored, with `replacements` in place of its entities, in their order."""
    stands = iter(replacements)
    return [
        Piece(next(stands), piece.label) if piece.label else Piece(escape(piece.text)) for piece in pieces
    ]


def cut_tokens(tokens: Sequence[str], tags: Sequence[str]) -> list[Piece]:
    """Tokens with spaces between, in pieces at the entities that their BIO `tags` say."""
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    spans: list[Span] = []
    for tag, (start, after) in zip(tags, pairwise(starts), strict=True):
        end = after - 1
        if tag.startswith("I-") and spans and spans[-1].end == start - 1:
            spans[-1] = Span(spans[-1].start, end, spans[-1].label)
        elif tag != "O":
            spans.append(Span(start, end, tag[2:]))
    return cut(" ".join(tokens), spans)


def tones(labels: Iterable[str]) -> dict[str, int]:
    """A colour's number for each type of entity, the same wherever the types are the same."""
    return {label: number % TONES for number, label in enumerate(sorted(set(labels)))}
