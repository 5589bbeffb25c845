"""The report on a data set that its owner sees before accepting it, as JSON.

It is kept in the database, so no text appears in it but pseudonymised and shortened.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.finding import Finding, Severity
from training.data.findings import find_all
from training.data.profile import Profile
from training.data.readers import Reading
from training.data.splits import SPLITS, split_rows
from training.data.uploaded import UploadedRow

EXCERPT_CHARACTERS = 160
_BARS = 20
_LABELS_SHOWN = 200

Protect = Callable[[Sequence[str]], list[str]]
"""Replaces the personal data in texts."""


class Report:
    """Findings first; then, once the rows that they name have been fetched, the whole report."""

    def __init__(self, profile: Profile, reading: Reading) -> None:
        self._profile = profile
        self._reading = reading
        self.findings = find_all(profile)

    @property
    def rows_wanted(self) -> set[int]:
        """The numbers of the rows that serve as examples."""
        return {number for finding in self.findings for number, _ in finding.examples}

    def to_json(
        self, examples: Mapping[int, UploadedRow], protect: Protect, personal_data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The report. `examples`: the rows of `rows_wanted` by number; `personal_data`: what was found of it."""
        profile = self._profile
        kept = profile.kept
        excerpts = _excerpts(examples, protect)
        return {
            "task": profile.task.value,
            "rows": profile.rows,
            "kept_rows": len(kept),
            "blocked": any(finding.severity is Severity.ERROR for finding in self.findings),
            "reading": self._reading.to_json(),
            "labels": _labels(profile, kept),
            "label_count": int((profile.label_sets.count(profile.labels[profile.complete]) > 0).sum()),
            "characters": _lengths(profile.characters[profile.complete]),
            "tokens": {**_lengths(profile.tokens[profile.complete]), "model_reads": profile.model_reads},
            "turns": _lengths(profile.turns[profile.complete]) if len(profile.turns) else None,
            "own_split": profile.has_own_split,
            "splits": _splits(profile, kept),
            "findings": [_finding(finding, excerpts) for finding in self.findings],
            "personal_data": dict(personal_data),
        }


def excerpt(text: str) -> str:
    """The beginning of `text`, on one line."""
    line = " ".join(text[: EXCERPT_CHARACTERS * 2].split())
    return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 1] + "…"


def _excerpts(examples: Mapping[int, UploadedRow], protect: Protect) -> dict[int, tuple[str, str]]:
    # What is replaced has to be seen whole: cut first, half an e-mail address would stay.
    texts = protect([row.text[: EXCERPT_CHARACTERS * 4] for row in examples.values()])
    return {
        number: (excerpt(text), row.shown)
        for (number, row), text in zip(examples.items(), texts, strict=True)
    }


def _finding(finding: Finding, excerpts: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
    examples = []
    for number, remark in finding.examples:
        text, label = excerpts.get(number, ("", ""))
        examples.append({"row": number, "text": text, "label": label, "remark": remark})
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "title": finding.title,
        "explanation": finding.explanation,
        "action": finding.action,
        "count": finding.count,
        "examples": examples,
    }


def _labels(profile: Profile, kept: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """The most common labels, with the number of rows that are kept of each, and how often they were met in all."""
    counts = profile.label_counts
    order = np.argsort(-counts, kind="stable")[:_LABELS_SHOWN]
    return [
        {
            "label": profile.label_names[label],
            "count": int(counts[label]),
            "share": float(counts[label] / len(kept)),
            "mentions": profile.mentions[profile.label_names[label]],
        }
        for label in order
        if counts[label]
    ]


def _splits(profile: Profile, kept: npt.NDArray[np.int64]) -> dict[str, int]:
    own = profile.splits[kept] if profile.has_own_split else None
    strata, names = profile.label_sets.strata(profile.labels[kept])
    codes = split_rows(profile.keys[kept], strata, names, own)
    return {split.value: int((codes == code).sum()) for code, split in enumerate(SPLITS)}


def _lengths(values: npt.NDArray[np.uint32] | npt.NDArray[np.uint16]) -> dict[str, Any]:
    """Lowest, middle and highest lengths, and how many texts there are of each."""
    if not len(values):
        return {"min": 0, "median": 0, "mean": 0, "p95": 0, "max": 0, "histogram": []}
    return {
        "min": int(values.min()),
        "median": int(np.median(values)),
        "mean": round(float(values.mean()), 1),
        "p95": int(np.percentile(values, 95)),
        "max": int(values.max()),
        "histogram": _histogram(values),
    }


def _histogram(values: npt.NDArray[np.uint32] | npt.NDArray[np.uint16]) -> list[dict[str, int | None]]:
    """Bars of equal width `from`–`to` (both included); the last one, without an end, holds the few longest."""
    step = _round_step(float(np.percentile(values, 99)) / _BARS)
    bars = np.minimum(values // step, _BARS)
    counts = np.bincount(bars, minlength=int(bars.max()) + 1)
    return [
        {"from": bar * step, "to": None if bar == _BARS else (bar + 1) * step - 1, "count": int(count)}
        for bar, count in enumerate(counts)
    ]


def _round_step(step: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, …"""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= step:
                return factor * size
        size *= 10
