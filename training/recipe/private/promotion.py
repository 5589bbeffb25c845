"""Whether a model that was trained with differential privacy may answer calls."""

from typing import Any

from torch import Tensor

from training.recipe.objective import Objective
from training.recipe.tokens import TokenizedSplit


def promotion(objective: Objective[Any], logits: Tensor, split: TokenizedSplit) -> dict[str, Any]:
    """Whether `logits` of the test split are better than one answer to everything, and if not, why not.

    The probe is no bar here: it was fitted without the guarantee, and would often be the better model.
    """
    found, blind = (
        list(objective.measure(scores, split).values())[-1] for scores in (logits, objective.blind(split))
    )
    reason = (
        f"It does not beat one answer to every text: its F1 on the test split is {found:.1%}, and that one's "
        f"{blind:.1%}. The noise covers what there was to learn: add rows, or allow a higher ε."
    )
    return {"promotable": found > blind, "reason": None if found > blind else reason}
