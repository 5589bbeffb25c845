"""The projection to the vocabulary and its loss. It is the widest map by far, so it is computed only where there is
something to predict, a few tokens at a time, and its logits are not kept."""

from typing import Any

import torch
from torch import Tensor

_CHUNK = 64


def cross_entropy(hidden: Tensor, vocabulary: Tensor, targets: Tensor) -> Tensor:
    """The loss [tokens] of predicting `targets` [tokens] from `hidden` [tokens, width] by `vocabulary` [ids, width].

    The vocabulary's own weights get no gradient: they are the base's.
    """
    losses: Tensor = _CrossEntropy.apply(hidden, vocabulary, targets)  # type: ignore[no-untyped-call]
    return losses


class _CrossEntropy(torch.autograd.Function):
    """The gradient is computed together with the loss, while a chunk's logits are there (as in Liger Kernel)."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, vocabulary: Tensor, targets: Tensor) -> Tensor:
        losses = torch.empty(len(hidden), device=hidden.device)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for start in range(0, len(hidden), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            logits = (hidden[chunk] @ vocabulary.T).float()
            picked = targets[chunk, None]
            total = logits.logsumexp(1, keepdim=True)
            losses[chunk] = (total - logits.gather(1, picked)).squeeze(1)
            if gradient is not None:
                wrong = logits.sub_(total).exp_()
                wrong.scatter_add_(1, picked, -torch.ones_like(total))
                gradient[chunk] = wrong.to(vocabulary.dtype) @ vocabulary
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:
        [gradient] = ctx.saved_tensors
        return gradient * outputs[0].unsqueeze(1), None, None
