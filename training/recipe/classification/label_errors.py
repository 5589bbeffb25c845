"""Training rows whose label is probably wrong, by what the probe says of rows that it has not seen.

A row is suspected where the probe is at least as sure of another label as it usually is of that label's own rows
(confident learning: Northcutt, Jiang and Chuang 2021), the row with the least confidence in its own label first.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.recipe.tokens import Indexes

MAX_ERRORS = 50
_MIN_ROWS = 4


def find_label_errors(
    held_out: Tensor, labels: Indexes, rows: Indexes, names: Sequence[str]
) -> list[dict[str, Any]]:
    """The worst suspects, at most MAX_ERRORS: their row in the file, label, suggested label, and confidence in that.

    held_out: [rows, labels], held-out probabilities; labels, rows: of each. A label with fewer than four rows is
    neither doubted nor suggested: too little is known of it.
    """
    targets = torch.from_numpy(labels)
    counts = torch.bincount(targets, minlength=len(names))
    own = held_out[torch.arange(len(targets)), targets]
    usual = torch.zeros(len(names)).index_add_(0, targets, own) / counts.clamp_min(1)
    usual[counts < _MIN_ROWS] = torch.inf
    sure = held_out.masked_fill(held_out < usual, 0.0)
    confidence, suggested = sure.max(1)
    suspects = (suggested != targets) & (confidence > own) & (counts[targets] >= _MIN_ROWS)
    indexes = suspects.nonzero().flatten()
    indexes = indexes[torch.argsort(own[indexes], stable=True)][:MAX_ERRORS]
    return [
        {
            "row": int(rows[index]),
            "label": names[int(targets[index])],
            "suggested": names[int(suggested[index])],
            "confidence": round(float(confidence[index]), 4),
        }
        for index in indexes.tolist()
    ]
