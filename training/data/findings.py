"""What stands out in a data set, in plain words, with what to do about it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from core.catalogue import Task
from training.data.finding import EXAMPLES, Finding, Positions, Severity, count_rows, examples_at
from training.data.label_findings import labels_alike, scarce_labels, too_few_labels, uneven, unlabeled
from training.data.profile import Profile
from training.data.splits import SPLITS, TRAIN
from training.data.uploaded import Gap
from training.data.wording import WORDING

FEWEST_ROWS = 20
MANY_TOO_LONG = 0.05


def find_all(profile: Profile) -> list[Finding]:
    """Every finding about `profile`, the gravest first."""
    checks = (
        _too_few_rows,
        too_few_labels,
        _no_training_rows,
        _empty,
        _duplicates,
        _conflicts,
        _leaks,
        scarce_labels,
        labels_alike,
        uneven,
        _too_long,
        unlabeled,
    )
    found = [finding for check in checks for finding in check(profile)]
    return sorted(found, key=lambda finding: list(Severity).index(finding.severity))


def _too_few_rows(profile: Profile) -> Iterator[Finding]:
    rows = len(profile.kept)
    if rows < FEWEST_ROWS:
        what = "conversations" if profile.task is Task.CHAT else "labeled texts"
        yield Finding(
            "too_few_rows",
            Severity.ERROR,
            f"Only {count_rows(rows)} to learn from",
            "So few rows cannot be divided into some to learn from, some to choose by and some to test with.",
            f"Upload at least {FEWEST_ROWS} different {what}; a few hundred give a useful model.",
            rows,
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
    words = WORDING[profile.task]
    for code, what, gap in (("empty_text", words.text, Gap.TEXT), ("empty_label", words.answer, Gap.ANSWER)):
        positions = np.flatnonzero(profile.gaps == gap)
        if len(positions):
            article = "an" if what[0] in "aeiou" else "a"
            yield Finding(
                code,
                Severity.WARNING,
                f"{count_rows(len(positions))} without {article} {what}",
                f"A row without {article} {what} teaches nothing.",
                "They are left out. Fill them in and upload again if they should count.",
                len(positions),
                examples_at(profile, positions),
            )


def _duplicates(profile: Profile) -> Iterator[Finding]:
    complete = profile.complete
    repeated = np.setdiff1d(complete, profile.kept, assume_unique=True)
    if not len(repeated):
        return
    first = _first_equal(profile, complete, repeated[:EXAMPLES])
    words = WORDING[profile.task]
    yield Finding(
        "duplicates",
        Severity.WARNING if len(repeated) > len(complete) / 10 else Severity.INFO,
        f"{count_rows(len(repeated))} repeat an earlier one",
        f"The same {words.text} with the same {words.answer} teaches nothing new and makes the results look better "
        "than they are.",
        "They are left out; the first of each is kept.",
        len(repeated),
        examples_at(profile, repeated, [f"the same as row {number}" for number in first]),
    )


def _first_equal(profile: Profile, among: Positions, positions: Positions) -> list[int]:
    """For each of `positions` the number of the first row with its question and answer."""
    result = []
    for position in positions:
        same = (profile.texts[among] == profile.texts[position]) & (
            profile.answers[among] == profile.answers[position]
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
    keys = _mixed_keys(profile.questions[complete], profile.answers[complete])
    if not len(keys):
        return
    positions = complete[np.isin(profile.questions[complete], keys)]
    positions = positions[np.argsort(profile.questions[positions], kind="stable")]
    words = WORDING[profile.task]
    texts = f"1 {words.text} has" if len(keys) == 1 else f"{len(keys):,} {words.texts} have"
    yield Finding(
        "conflicting_labels",
        Severity.WARNING,
        f"{texts} two or more {words.answers}",
        f"The same {words.text} (but for case and punctuation) has different {words.answers}, so the model cannot get "
        "it right.",
        f"Decide on one {words.answer} for each of them. They are kept as they are if you accept.",
        len(keys),
        examples_at(profile, positions, _same_as_before(profile, positions[:EXAMPLES])),
    )


def _same_as_before(profile: Profile, positions: Positions) -> list[str]:
    """For each of `positions`, ordered by question, which earlier one has the same."""
    remarks, first = [], None
    noun = WORDING[profile.task].text
    for position in positions:
        same = first is not None and profile.questions[first] == profile.questions[position]
        remarks.append(f"the same {noun} as row {profile.numbers[first]}" if same else "")
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
    words = WORDING[profile.task]
    texts = f"1 {words.text} is" if len(keys) == 1 else f"{len(keys):,} {words.texts} are"
    yield Finding(
        "leaks",
        Severity.WARNING,
        f"{texts} in more than one split",
        f"A {words.text} that was learnt by heart (but for case and punctuation) tells nothing about new ones, so the "
        "test would promise too much.",
        "They are kept in the test split, or else in validation, and left out of the others.",
        len(keys),
        examples_at(
            profile,
            positions,
            [f"in {SPLITS[profile.splits[position]]}" for position in positions[:EXAMPLES]],
        ),
    )


def _too_long(profile: Profile) -> Iterator[Finding]:
    positions = np.flatnonzero(profile.tokens > profile.model_reads)
    if not len(positions):
        return
    share = len(positions) / profile.rows
    longest = positions[np.argsort(profile.tokens[positions], kind="stable")[::-1]]
    reads = f"{profile.model_reads:,} tokens (about {profile.model_reads * 3 // 4:,} words)"
    if profile.task is Task.CHAT:
        explanation = (
            f"The model reads {reads} of a conversation, question and answer together. The oldest turns of a longer "
            "one are left out; one whose last turns alone are too long is not learnt from."
        )
        action = "Shorten them, or split long conversations into several."
    else:
        explanation = f"The model reads the first {reads} of a text and no further."
        action = "Put what matters at the beginning, or shorten these texts."
    yield Finding(
        "too_long",
        Severity.WARNING if share > MANY_TOO_LONG else Severity.INFO,
        f"{count_rows(len(positions))} longer than the model reads",
        explanation,
        action,
        len(positions),
        examples_at(
            profile,
            longest,
            [f"about {profile.tokens[position]:,} tokens" for position in longest[:EXAMPLES]],
        ),
    )
