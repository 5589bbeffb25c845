"""The probe for several labels: a logistic regression for each label against the rest, all fitted at once."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from training.recipe.probe import PENALTIES, Probe, Scaling, minimise

_FOLDS = 4


def fit(features: Tensor, targets: Tensor, beat: Callable[[int], None]) -> Probe:
    """Fit to `features` [rows, hidden] and `targets` [rows, labels] of 0 and 1; `beat` is told of a chunk's rows.

    The penalty is the one with the lowest loss on every fourth row after a fit to the others.
    """
    scaling = Scaling.of(features)
    scaled = scaling.apply(features)
    held_out = torch.arange(len(features)) % _FOLDS == 0
    penalty = PENALTIES[0]
    if not bool(held_out.all()):
        losses = []
        for candidate in PENALTIES:
            weight, bias = _minimise(scaled[~held_out], targets[~held_out], candidate, beat)
            logits = F.linear(scaled[held_out], weight, bias)
            losses.append(float(F.binary_cross_entropy_with_logits(logits, targets[held_out])))
        penalty = PENALTIES[losses.index(min(losses))]
    return scaling.probe(*_minimise(scaled, targets, penalty, beat))


def _minimise(
    features: Tensor, targets: Tensor, penalty: float, beat: Callable[[int], None]
) -> tuple[Tensor, Tensor]:
    def loss(weight: Tensor, bias: Tensor, rows: slice) -> Tensor:
        logits = F.linear(features[rows], weight, bias)
        return F.binary_cross_entropy_with_logits(logits, targets[rows], reduction="sum")

    return minimise(loss, len(features), (targets.shape[1], features.shape[1]), penalty, beat)
