"""Findings as spans of text: cut long texts, keep findings apart, strip what does not belong to a name."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace

from core.privacy.types import Finding

WINDOW = 4000
OVERLAP = 200

_EDGE = " \t\r\n\"'`´‘’“”.,;:!?()[]{}<>|*-–—_/\\"
_POSSESSIVE = re.compile(r"\s*['’`]s$", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2}")
_MAY_BE_NUMBERS = frozenset({"LOCATION", "DATE_TIME", "AGE", "USERNAME"})


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

    Yields nothing of a piece without two letters in a row, such as a room's or a model's number, where it is no place,
    date or age.
    """
    position = finding.start
    for line in text[finding.start : finding.end].splitlines(keepends=True):
        name = line
        while True:
            shorter = _POSSESSIVE.sub("", name.strip(_EDGE))
            if shorter == name:
                break
            name = shorter
        if _WORD.search(name) or (finding.entity in _MAY_BE_NUMBERS and any(map(str.isalnum, name))):
            start = position + line.index(name)
            yield replace(finding, start=start, end=start + len(name))
        position += len(line)


def merge_alike(findings: Iterable[Finding]) -> list[Finding]:
    """`findings` with those of one kind that overlap made one, with the higher score."""
    merged: list[Finding] = []
    for finding in sorted(findings, key=lambda one: (one.entity, one.start, one.end)):
        last = merged[-1] if merged else None
        if last is not None and last.entity == finding.entity and finding.start < last.end:
            merged[-1] = replace(last, end=max(last.end, finding.end), score=max(last.score, finding.score))
        else:
            merged.append(finding)
    return merged


class _Taken:
    """Spans of a text that are apart from one another, in its order."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        ordered = sorted(spans)
        self._starts = [start for start, _ in ordered]
        self._ends = [end for _, end in ordered]

    def add(self, start: int, end: int) -> None:
        """Take a span that is apart from all others."""
        index = bisect_left(self._starts, start)
        self._starts.insert(index, start)
        self._ends.insert(index, end)

    def rest_of(self, finding: Finding) -> list[Finding]:
        """What of `finding` lies outside the spans."""
        pieces = []
        position = finding.start
        index = bisect_right(self._ends, position)
        while index < len(self._starts) and self._starts[index] < finding.end:
            if position < self._starts[index]:
                pieces.append(replace(finding, start=position, end=self._starts[index]))
            position = self._ends[index]
            index += 1
        if position < finding.end:
            pieces.append(replace(finding, start=position))
        return pieces


def keep_apart(
    text: str, patterns: Iterable[Finding], names: Iterable[Finding], taken: Iterable[tuple[int, int]] = ()
) -> list[Finding]:
    """Findings that do not overlap, in the order of the text, and none within the spans `taken`.

    A pattern with a format, and often a checksum, beats a language model's guess; then the higher score wins, then
    the longer. Of what loses, the part outside the winner stays, unless it is but punctuation or a stray letter: it was
    personal data too.
    """
    kept: list[Finding] = []
    strays: list[Finding] = []
    spans = _Taken(taken)
    ranked = sorted(patterns, key=_rank) + sorted(names, key=_rank)
    for finding in ranked:
        for piece in spans.rest_of(finding):
            part = piece if piece == finding else _trim_rest(text, piece)
            letters = [place for place in range(part.start, part.end) if text[place].isalnum()]
            if part == finding or len(letters) > 1:
                kept.append(part)
                spans.add(part.start, part.end)
            else:
                strays += [replace(part, start=place, end=place + 1) for place in letters]
    left_open = sorted(stray for stray in strays if spans.rest_of(stray))
    return sorted(kept + _side_by_side(left_open))


def _rank(finding: Finding) -> tuple[float, int, int]:
    return -finding.score, finding.start - finding.end, finding.start


def _trim_rest(text: str, piece: Finding) -> Finding:
    """A piece that was left of a finding, without the punctuation around it."""
    value = text[piece.start : piece.end]
    core = value.strip(_EDGE)
    start = piece.start + value.index(core)
    return replace(piece, start=start, end=start + len(core))


def _side_by_side(strays: Iterable[Finding]) -> list[Finding]:
    """Stray letters, in the order of the text, that stand side by side, as what they are together."""
    runs: list[Finding] = []
    for stray in strays:
        if runs and stray.start <= runs[-1].end:
            runs[-1] = replace(runs[-1], end=stray.end)
        else:
            runs.append(stray)
    return [run for run in runs if run.end - run.start > 1]
