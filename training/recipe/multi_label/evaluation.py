"""How good choices of any number of labels are."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.recipe.f1 import Hits

Choices = npt.NDArray[np.bool_]


def evaluate(
    truth: Choices, chosen: Choices, labels: Sequence[str], seed: int, beat: Callable[[], None]
) -> dict[str, Any]:
    """Everything that is told of the test split.

    truth, chosen: [rows, labels]; seed: of the bootstrap; beat: called every now and then.
    """
    hits = _hits(truth, chosen)
    micro, macro = hits.intervals(seed, beat)
    return {
        "rows": len(truth),
        "micro_f1": {"value": hits.micro_f1(), "low": micro[0], "high": micro[1]},
        "macro_f1": {"value": hits.macro_f1(), "low": macro[0], "high": macro[1]},
        "exact_match": float((truth == chosen).all(1).mean()),
        "per_class": hits.by_label(labels),
    }


def micro_f1(truth: Choices, chosen: Choices) -> float:
    """F1 of all choices of a label together."""
    return _hits(truth, chosen).micro_f1()


def macro_f1(truth: Choices, chosen: Choices) -> float:
    """The mean F1 of the labels that occur, in truth or as a choice, each counting the same."""
    return _hits(truth, chosen).macro_f1()


def promotion(truth: Choices, model: Choices, probe: Choices) -> dict[str, Any]:
    """Whether a model beats its probe on the test split, and if not, why not.

    The micro F1 has to be higher; where both are equal the macro F1 decides: the model is then better at rare labels.
    """
    ours, baseline = _hits(truth, model), _hits(truth, probe)
    beats = (ours.micro_f1(), ours.macro_f1()) > (baseline.micro_f1(), baseline.macro_f1())
    reason = (
        f"It does not beat its probe: its micro F1 on the test split is {ours.micro_f1():.1%}, and that of the probe, "
        f"a simple classifier on the untrained base model, {baseline.micro_f1():.1%}. "
        "Add rows to the labels with the lowest F1, and train again."
    )
    return {"promotable": beats, "reason": None if beats else reason}


def _hits(truth: Choices, chosen: Choices) -> Hits:
    found, there, right = (counts.astype(np.int64) for counts in (chosen, truth, chosen & truth))
    return Hits(found, there, right)
