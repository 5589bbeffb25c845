"""Linear maps of frozen weights, laid out once for the processor."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from inference.pool.precision import Precision

ROWS = 8
"""How many rows the layout is made for: it is good for any number."""

SMALLEST_BATCH = 2
"""Rows that a call must have: a single one goes another way through the processor, with another rounding."""


class LinearMap(Protocol):
    """A linear map with or without bias, x [rows, in] → [rows, out]."""

    def __call__(self, x: Tensor) -> Tensor: ...

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """The map of x, plus `residual` [rows, out]."""
        ...


class PlainLinear:
    """torch's own, on the weights where they lie."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """`weight` [out, in] and `bias` [out], fp32."""
        self._weight = weight
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self._weight, self._bias)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        return F.linear(x, self._weight, self._bias).add_(residual)


class Linear:
    """In oneDNN's packed layout, where that is built in: a copy of the weights.

    It is a fifth faster than torch's own at the hundreds of rows of a batch of texts, and up to twice at the few of a
    decoding step. It also adds up each row's products in one order, however many rows there are, so that from
    SMALLEST_BATCH rows on a row's numbers do not depend on its neighbours to the last bit.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """`weight` [out, in] and `bias` [out], fp32."""
        self._packed = torch.backends.mkldnn.is_available()
        self._bias = bias
        self._weight: Tensor = (
            torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS) if self._packed else weight
        )

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
            return out
        return F.linear(x, self._weight, self._bias)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        if self._packed:
            out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
                x, residual, self._weight, self._bias, "add"
            )
            return out
        return F.linear(x, self._weight, self._bias).add_(residual)


class RoundedLinear:
    """The packed layout with weights and inputs rounded to bfloat16: half the memory, and twice as fast where the processor
    has products of bfloat16.

    Sums are fp32 and are rounded once; a residual is added in fp32. Here too a row's numbers do not depend on its
    neighbours to the last bit.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """`weight` [out, in] and `bias` [out], fp32."""
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.bfloat16().contiguous(), ROWS)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.bfloat16(), self._weight, self._bias, "none", [], ""
        )
        return out.float()

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        return self(x).add_(residual)


MakeLinear = Callable[[Tensor, Tensor | None], LinearMap]
"""Makes a map of weight [out, in] and bias [out], or none."""


def linear_of(precision: Precision) -> MakeLinear:
    """What makes the base models' maps."""
    return RoundedLinear if precision is Precision.BF16 else Linear


def computes(precision: Precision) -> bool:
    """Whether this processor has products of that precision."""
    return precision is Precision.FP32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
