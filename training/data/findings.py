"""What stands out in a data set, in plain words, with what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.normalise import without_case_and_punctuation
from training.data.profile import NO_LABEL, Profile
from training.data.splits import SPLITS, TRAIN

EXAMPLES = 5
FEW_EXAMPLES = 10
FEWEST_ROWS = 20
MANY_TOO_LONG = 0.05
UNEVEN = 50
_SHOWN_LABELS = 5

Positions = npt.NDArray[np.int64]


class Severity(StrEnum):
    """An ERROR keeps the data set from being accepted."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in `count` rows, labels or texts. `examples` are (row number, a remark or "")."""

    code: str
    severity: Severity
    title: str
    explanation: str
    action: str
    count: int
    examples: tuple[tuple[int, str], ...] = ()


def find_all(profile: Profile) -> list[Finding]:
    """Every finding about `profile`, the gravest first."""
    checks = (
        _too_few_rows,
        _too_few_labels,
        _no_training_rows,
        _empty,
        _duplicates,
        _conflicts,
        _leaks,
        _scarce_labels,
        _labels_alike,
        _uneven,
        _too_long,
    )
    found = [finding for check in checks for finding in check(profile)]
    return sorted(found, key=lambda finding: list(Severity).index(finding.severity))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _examples(
    profile: Profile, positions: Positions, remarks: list[str] | None = None
) -> tuple[tuple[int, str], ...]:
    shown = positions[:EXAMPLES]
    return tuple(
        (int(profile.numbers[position]), remarks[index] if remarks else "")
        for index, position in enumerate(shown)
    )


def _too_few_rows(profile: Profile) -> Iterator[Finding]:
    rows = len(profile.kept)
    if rows < FEWEST_ROWS:
        yield Finding(
            "too_few_rows",
            Severity.ERROR,
            f"Only {_rows(rows)} to learn from",
            "So few rows cannot be divided into some to learn from, some to choose by and some to test with.",
            f"Upload at least {FEWEST_ROWS} different labeled texts; a few hundred give a useful model.",
            rows,
        )


def _too_few_labels(profile: Profile) -> Iterator[Finding]:
    labels = len(np.unique(profile.labels[profile.complete]))
    if labels < 2:
        yield Finding(
            "too_few_labels",
            Severity.ERROR,
            "There is only one label" if labels else "There are no labels",
            "A model learns to tell labels apart, so it needs at least two.",
            "Check that you chose the column with the labels, or add texts with another label.",
            labels,
        )


def _no_training_rows(profile: Profile) -> Iterator[Finding]:
    if profile.has_own_split and not (profile.splits[profile.complete] == TRAIN).any():
        yield Finding(
            "no_training_rows",
            Severity.ERROR,
            "No row is in the training split",
            "The file's own split puts every row into validation or test, so there is nothing to learn from.",
            "Add training rows, or choose no split column to have the rows split for you.",
            0,
        )


def _empty(profile: Profile) -> Iterator[Finding]:
    for code, what, empty in (
        ("empty_text", "text", profile.characters == 0),
        ("empty_label", "label", (profile.labels == NO_LABEL) & (profile.characters > 0)),
    ):
        positions = np.flatnonzero(empty)
        if len(positions):
            yield Finding(
                code,
                Severity.WARNING,
                f"{_rows(len(positions))} without a {what}",
                f"A row without a {what} teaches nothing.",
                "They are left out. Fill them in and upload again if they should count.",
                len(positions),
                _examples(profile, positions),
            )


def _duplicates(profile: Profile) -> Iterator[Finding]:
    complete = profile.complete
    repeated = np.setdiff1d(complete, profile.kept, assume_unique=True)
    if not len(repeated):
        return
    first = _first_equal(profile, complete, repeated[:EXAMPLES])
    yield Finding(
        "duplicates",
        Severity.WARNING if len(repeated) > len(complete) / 10 else Severity.INFO,
        f"{_rows(len(repeated))} repeat an earlier one",
        "The same text with the same label teaches nothing new and makes the results look better than they are.",
        "They are left out; the first of each is kept.",
        len(repeated),
        _examples(profile, repeated, [f"the same as row {number}" for number in first]),
    )


def _first_equal(profile: Profile, among: Positions, positions: Positions) -> list[int]:
    """For each of `positions` the number of the first row with its text and label."""
    result = []
    for position in positions:
        same = (profile.texts[among] == profile.texts[position]) & (
            profile.labels[among] == profile.labels[position]
        )
        result.append(int(profile.numbers[among[int(np.argmax(same))]]))
    return result


def _mixed_keys(keys: npt.NDArray[np.uint64], values: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """The keys that occur with more than one value."""
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, dtype=np.int64)
    if not len(starts):
        return keys
    lowest, highest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    mixed: npt.NDArray[np.uint64] = keys[starts][lowest != highest]
    return mixed


def _conflicts(profile: Profile) -> Iterator[Finding]:
    complete = profile.complete
    keys = _mixed_keys(profile.keys[complete], profile.labels[complete])
    if not len(keys):
        return
    positions = complete[np.isin(profile.keys[complete], keys)]
    positions = positions[np.argsort(profile.keys[positions], kind="stable")]
    texts = "1 text has" if len(keys) == 1 else f"{len(keys):,} texts have"
    yield Finding(
        "conflicting_labels",
        Severity.WARNING,
        f"{texts} two or more labels",
        "The same text (but for case and punctuation) has different labels, so the model cannot get it right.",
        "Decide on one label for each of them. They are kept as they are if you accept.",
        len(keys),
        _examples(profile, positions, _same_as_before(profile, positions[:EXAMPLES])),
    )


def _same_as_before(profile: Profile, positions: Positions) -> list[str]:
    """For each of `positions`, ordered by key, which earlier one has the same text."""
    remarks, first = [], None
    for position in positions:
        same = first is not None and profile.keys[first] == profile.keys[position]
        remarks.append(f"the same text as row {profile.numbers[first]}" if same else "")
        first = first if same else position
    return remarks


def _leaks(profile: Profile) -> Iterator[Finding]:
    if not profile.has_own_split:
        return
    complete = profile.complete
    keys = _mixed_keys(profile.keys[complete], profile.splits[complete])
    if not len(keys):
        return
    positions = complete[np.isin(profile.keys[complete], keys)]
    positions = positions[np.argsort(profile.keys[positions], kind="stable")]
    texts = "1 text is" if len(keys) == 1 else f"{len(keys):,} texts are"
    yield Finding(
        "leaks",
        Severity.WARNING,
        f"{texts} in more than one split",
        "A text that was learnt by heart (but for case and punctuation) tells nothing about new ones, so the test "
        "would promise too much.",
        "They are kept in the test split, or else in validation, and left out of the others.",
        len(keys),
        _examples(
            profile,
            positions,
            [f"in {SPLITS[profile.splits[position]]}" for position in positions[:EXAMPLES]],
        ),
    )


def _label_counts(profile: Profile) -> npt.NDArray[np.int64]:
    """The number of rows of each label that an import keeps."""
    return np.bincount(profile.labels[profile.kept], minlength=len(profile.label_names))


def _scarce_labels(profile: Profile) -> Iterator[Finding]:
    counts = _label_counts(profile)
    scarce = np.flatnonzero(counts < FEW_EXAMPLES)
    if not len(scarce) or len(profile.label_names) < 2:
        return
    scarce = scarce[np.argsort(counts[scarce], kind="stable")]
    named = ", ".join(f"{profile.label_names[label]} ({counts[label]})" for label in scarce[:_SHOWN_LABELS])
    more = f" and {len(scarce) - _SHOWN_LABELS:,} more" if len(scarce) > _SHOWN_LABELS else ""
    yield Finding(
        "scarce_labels",
        Severity.WARNING,
        "1 label has few texts" if len(scarce) == 1 else f"{len(scarce):,} labels have few texts",
        f"With fewer than {FEW_EXAMPLES} different texts a label is hardly learnt, and its result says little: "
        f"{named}{more}.",
        "Add texts for them, merge them with others, or leave them out.",
        len(scarce),
        tuple(
            (int(profile.numbers[profile.complete[np.argmax(profile.labels[profile.complete] == label)]]), "")
            for label in scarce[:EXAMPLES]
            if counts[label]
        ),
    )


def _labels_alike(profile: Profile) -> Iterator[Finding]:
    alike: dict[str, list[str]] = {}
    for name in profile.label_names:
        alike.setdefault(without_case_and_punctuation(name), []).append(name)
    groups = [names for names in alike.values() if len(names) > 1]
    if groups:
        named = "; ".join(" and ".join(f"“{name}”" for name in names) for names in groups[:_SHOWN_LABELS])
        yield Finding(
            "labels_alike",
            Severity.WARNING,
            "Labels differ only in how they are written",
            f"They are likely one label each, but would be learnt as different ones: {named}.",
            "Write each label in one way and upload again.",
            len(groups),
        )


def _uneven(profile: Profile) -> Iterator[Finding]:
    counts = _label_counts(profile)
    present = counts[counts > 0]
    if len(present) > 1 and present.max() > UNEVEN * present.min():
        most, least = int(counts.argmax()), int(np.where(counts > 0, counts, counts.max() + 1).argmin())
        yield Finding(
            "uneven_labels",
            Severity.INFO,
            "Labels are very uneven",
            f"“{profile.label_names[most]}” has {counts[most]:,} texts, “{profile.label_names[least]}” "
            f"{counts[least]:,}. The model will favour the common one.",
            "Add texts for the rare labels, and judge the model by macro F1 rather than by accuracy.",
            len(present),
        )


def _too_long(profile: Profile) -> Iterator[Finding]:
    positions = np.flatnonzero(profile.tokens > profile.model_reads)
    if not len(positions):
        return
    share = len(positions) / profile.rows
    longest = positions[np.argsort(profile.tokens[positions], kind="stable")[::-1]]
    yield Finding(
        "too_long",
        Severity.WARNING if share > MANY_TOO_LONG else Severity.INFO,
        f"{_rows(len(positions))} longer than the model reads",
        f"The model reads the first {profile.model_reads} tokens (about {profile.model_reads * 3 // 4} words) of a "
        "text and no further.",
        "Put what matters at the beginning, or shorten these texts.",
        len(positions),
        _examples(
            profile,
            longest,
            [f"about {profile.tokens[position]:,} tokens" for position in longest[:EXAMPLES]],
        ),
    )
