"""What stands out among the labels or entity types of a data set."""

from collections.abc import Iterator

import numpy as np

from core.catalogue import Task
from training.data.finding import EXAMPLES, Finding, Severity, count_rows, examples_at
from training.data.normalise import without_case_and_punctuation
from training.data.profile import Profile
from training.data.wording import WORDING

FEW_EXAMPLES = 10
UNEVEN = 50
_SHOWN_LABELS = 5


def too_few_labels(profile: Profile) -> Iterator[Finding]:
    if profile.task is Task.CHAT:
        return
    labels = int((profile.label_sets.count(profile.labels[profile.complete]) > 0).sum())
    words = WORDING[profile.task]
    needed = 2 if profile.task is Task.CLASSIFICATION else 1
    if labels < needed:
        yield Finding(
            "too_few_labels",
            Severity.ERROR,
            f"There is only one {words.label}" if labels else f"There are no {words.labels}",
            "A model learns to tell labels apart, so it needs at least two."
            if needed == 2
            else f"A model learns to find {words.labels}, so it needs at least one.",
            f"Check that you chose the column with the {words.labels}, or add texts with another.",
            labels,
        )


def scarce_labels(profile: Profile) -> Iterator[Finding]:
    counts = profile.label_counts
    scarce = np.flatnonzero(counts < FEW_EXAMPLES)
    if not len(scarce) or len(profile.label_names) < 2:
        return
    words = WORDING[profile.task]
    scarce = scarce[np.argsort(counts[scarce], kind="stable")]
    named = ", ".join(f"{profile.label_names[label]} ({counts[label]})" for label in scarce[:_SHOWN_LABELS])
    more = f" and {len(scarce) - _SHOWN_LABELS:,} more" if len(scarce) > _SHOWN_LABELS else ""
    with_label = [
        profile.label_sets.has(profile.labels[profile.complete], label) for label in scarce[:EXAMPLES]
    ]
    yield Finding(
        "scarce_labels",
        Severity.WARNING,
        f"1 {words.label} has few texts"
        if len(scarce) == 1
        else f"{len(scarce):,} {words.labels} have few texts",
        f"With fewer than {FEW_EXAMPLES} different texts a label is hardly learnt, and its result says little: "
        f"{named}{more}.",
        "Add texts for them, merge them with others, or leave them out.",
        len(scarce),
        tuple(
            (int(profile.numbers[profile.complete[np.argmax(has)]]), "") for has in with_label if has.any()
        ),
    )


def labels_alike(profile: Profile) -> Iterator[Finding]:
    alike: dict[str, list[str]] = {}
    for name in profile.label_names:
        alike.setdefault(without_case_and_punctuation(name), []).append(name)
    groups = [names for names in alike.values() if len(names) > 1]
    if groups:
        named = "; ".join(" and ".join(f"“{name}”" for name in names) for names in groups[:_SHOWN_LABELS])
        words = WORDING[profile.task]
        yield Finding(
            "labels_alike",
            Severity.WARNING,
            f"{words.labels.capitalize()} differ only in how they are written",
            f"They are likely one {words.label} each, but would be learnt as different ones: {named}.",
            f"Write each {words.label} in one way and upload again.",
            len(groups),
        )


def uneven(profile: Profile) -> Iterator[Finding]:
    counts = profile.label_counts
    present = counts[counts > 0]
    if len(present) > 1 and present.max() > UNEVEN * present.min():
        most, least = int(counts.argmax()), int(np.where(counts > 0, counts, counts.max() + 1).argmin())
        words = WORDING[profile.task]
        yield Finding(
            "uneven_labels",
            Severity.INFO,
            f"{words.labels.capitalize()} are very uneven",
            f"“{profile.label_names[most]}” has {counts[most]:,} texts, “{profile.label_names[least]}” "
            f"{counts[least]:,}. The model will favour the common one.",
            f"Add texts for the rare {words.labels}, and look at the result of each.",
            len(present),
        )


def unlabeled(profile: Profile) -> Iterator[Finding]:
    """Texts to which no label applies, and texts without an entity: kept, as they say what is not to be found."""
    if profile.task not in (Task.MULTI_LABEL, Task.TAGGING):
        return
    positions = profile.kept[profile.label_sets.is_empty(profile.labels[profile.kept])]
    if len(positions):
        what = "labels" if profile.task is Task.MULTI_LABEL else "entities"
        yield Finding(
            "unlabeled",
            Severity.INFO,
            f"{count_rows(len(positions))} without {what}",
            f"They teach the model when to find no {what}.",
            "They are kept. Leave out those that nobody has labeled yet.",
            len(positions),
            examples_at(profile, positions),
        )
