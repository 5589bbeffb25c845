"""Findings as spans of text: cut long texts, keep findings apart, strip what does not belong to a name."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from core.privacy.types import Finding

WINDOW = 4000
OVERLAP = 200

_EDGE = " \t\r\n\"'`´‘’“”.,;:!?()[]{}<>|*-–—_/\\"
_POSSESSIVE = re.compile(r"\s*['’`]s$", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2}")


def windows(text: str) -> Iterator[tuple[int, str]]:
    """`text` in pieces of at most WINDOW characters, each with its start, that overlap by about OVERLAP.

    What the recognizers need grows faster than the text. Cut at spaces where there are any, so that a name that
    lies across a cut lies whole in one of the two pieces.
    """
    start = 0
    while len(text) - start > WINDOW:
        end = text.rfind(" ", start + WINDOW - OVERLAP, start + WINDOW)
        if end < 0:
            end = start + WINDOW
        yield start, text[start:end]
        space = text.find(" ", end - OVERLAP, end)
        start = space + 1 if space >= 0 else end - OVERLAP
    yield start, text[start:]


def shift(findings: Iterable[Finding], offset: int) -> list[Finding]:
    """The findings of a piece that starts at `offset`, in terms of the whole."""
    return [replace(f, start=f.start + offset, end=f.end + offset) for f in findings]


def trim_name(text: str, finding: Finding) -> Iterator[Finding]:
    """A name as people write it: line by line, without surrounding punctuation or a possessive 's.

    Yields nothing of a piece without two letters in a row, such as a room's or a model's number.
    """
    position = finding.start
    for line in text[finding.start : finding.end].splitlines(keepends=True):
        name = line
        while True:
            shorter = _POSSESSIVE.sub("", name.strip(_EDGE))
            if shorter == name:
                break
            name = shorter
        if _WORD.search(name):
            start = position + line.index(name)
            yield replace(finding, start=start, end=start + len(name))
        position += len(line)


def without(finding: Finding, taken: Sequence[tuple[int, int]]) -> list[Finding]:
    """What of `finding` lies outside the spans `taken`."""
    pieces = [finding]
    for start, end in taken:
        remaining = []
        for piece in pieces:
            if end <= piece.start or piece.end <= start:
                remaining.append(piece)
                continue
            if piece.start < start:
                remaining.append(replace(piece, end=start))
            if end < piece.end:
                remaining.append(replace(piece, start=end))
        pieces = remaining
    return pieces


def keep_apart(
    text: str, patterns: Iterable[Finding], names: Iterable[Finding], taken: Iterable[tuple[int, int]] = ()
) -> list[Finding]:
    """Findings that do not overlap, in the order of the text, and none within the spans `taken`.

    A pattern with a format, and often a checksum, beats a language model's guess; then the higher score wins, then
    the longer. Of what loses, the part outside the winner stays: it was personal data too.
    """
    kept: list[Finding] = []
    spans = list(taken)
    ranked = sorted(patterns, key=_rank) + sorted(names, key=_rank)
    for finding in ranked:
        for piece in without(finding, spans):
            pieces = [piece] if piece == finding else _rest(text, piece)
            kept.extend(pieces)
            spans.extend((p.start, p.end) for p in pieces)
    return sorted(kept)


def _rank(finding: Finding) -> tuple[float, int, int]:
    return -finding.score, finding.start - finding.end, finding.start


def _rest(text: str, piece: Finding) -> list[Finding]:
    """A piece that was left of a finding, unless it is but punctuation or a stray letter."""
    value = text[piece.start : piece.end]
    core = value.strip(_EDGE)
    if sum(map(str.isalnum, core)) < 2:
        return []
    start = piece.start + value.index(core)
    return [replace(piece, start=start, end=start + len(core))]
