"""Linear maps of frozen weights, laid out once for the processor."""

import torch
from torch import Tensor
from torch.nn import functional as F

ROWS = 8
"""How many rows the layout is made for: it is good for any number."""

SMALLEST_BATCH = 2
"""Rows that a call must have: a single one goes another way through the processor, with another rounding."""


class Linear:
    """x [rows, in] → x·weightᵀ [rows, out], without bias.

    oneDNN's packed layout: up to twice as fast as torch's own at the few rows of a decoding step. It also adds up each
    row's products in one order, however many rows there are, so that from SMALLEST_BATCH rows on a row's numbers do not
    depend on its neighbours to the last bit.
    """

    def __init__(self, weight: Tensor) -> None:
        """`weight` [out, in], fp32; it is copied."""
        self._packed = torch.backends.mkldnn.is_available()
        self._weight: Tensor = (
            torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS) if self._packed else weight
        )

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, None, "none", [], "")
            return out
        return F.linear(x, self._weight)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """The map of x, plus `residual` [rows, out]."""
        if self._packed:
            out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, residual, self._weight, None, "add")
            return out
        return F.linear(x, self._weight).add_(residual)
