"""The gradient of a private step: each record's own, clipped; all of them summed up; and noise."""

from collections.abc import Sequence

import torch
from torch import Tensor

from training.recipe.private.mechanism import Mechanism
from training.recipe.private.randomness import Randomness


class NoisySum:
    """Collects one step's clipped gradients of `parameters`, and leaves what the optimizer reads in them."""

    def __init__(self, parameters: Sequence[Tensor], mechanism: Mechanism, randomness: Randomness) -> None:
        self._parameters = parameters
        self._mechanism = mechanism
        self._randomness = randomness
        self._sums = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def add(self, gradients: Sequence[Tensor]) -> None:
        """Add the gradients of some records: for each parameter [records, *its shape]."""
        squares = [gradient.flatten(1).square().sum(1) for gradient in gradients]
        norms = torch.stack(squares).sum(0).sqrt()
        # A gradient that is no number would make the sum none, whose divergence is told; so it is not hidden here.
        factors = (self._mechanism.clipping_norm / norms).clamp(max=1.0)
        for total, gradient in zip(self._sums, gradients, strict=True):
            total.add_(torch.tensordot(factors, gradient, dims=1))

    @torch.no_grad()
    def finish(self, step: int) -> None:
        """Add the step's noise, and set each parameter's `grad` to the mean over as many records as were expected.

        How many there were is itself private. The sum is in double precision and rounded afterwards, so that the
        spacing of single-precision numbers around the noise does not give the sum away (Mironov 2012).
        """
        noise = torch.from_numpy(
            self._randomness.noise(step, sum(parameter.numel() for parameter in self._parameters))
        )
        scale = self._mechanism.noise_multiplier * self._mechanism.clipping_norm
        start = 0
        for parameter, total in zip(self._parameters, self._sums, strict=True):
            end = start + parameter.numel()
            noisy = total.double().cpu() + scale * noise[start:end].view_as(total)
            parameter.grad = (noisy / self._mechanism.expected_rows).to(parameter)
            total.zero_()
            start = end
