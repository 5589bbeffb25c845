"""The probe: logistic regression on the frozen base's embeddings. It is the baseline that a fine-tune has to beat."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.recipe.tokens import Indexes

FOLDS = 4
PENALTIES = (0.016, 0.004, 0.001)
"""Weights of half the squared norm in the mean loss, tried on one fold in this order."""

MAX_ROWS = 50_000
_MAX_STEPS = 100
_TOLERANCE = 1e-5
_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Probe:
    """`weight` [labels, hidden] and `bias` [labels], for embeddings as they are."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        return F.linear(features, self.weight, self.bias)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Features around 0 and of about size 1, with one scale for all dimensions, since some hardly vary."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "Scaling":
        mean = features.mean(0)
        return cls(mean, (features - mean).square().mean().sqrt().clamp_min(1e-6))

    def apply(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.scale

    def probe(self, weight: Tensor, bias: Tensor) -> Probe:
        """What was fitted to scaled features, for features as they are."""
        weight = weight / self.scale
        return Probe(weight, bias - weight @ self.mean)


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """A probe, and what it would say of each of its rows had it not seen them: probabilities [rows, labels]."""

    probe: Probe
    held_out: Tensor


def sample(labels: Indexes, seed: int, rows: int = MAX_ROWS) -> Indexes:
    """Which rows of the training split the probe is fitted to, ascending: all, or a random sample with every label."""
    if len(labels) <= rows:
        return np.arange(len(labels))
    chosen = np.random.default_rng(seed).permutation(len(labels))[:rows]
    firsts = np.unique(labels, return_index=True)[1]
    return np.unique(np.concatenate([chosen, firsts]))


def fit(features: Tensor, labels: Indexes, label_count: int, beat: Callable[[int], None]) -> FittedProbe:
    """Fit the probe to `features` [rows, hidden]. `beat` is told of every chunk's rows.

    The penalty is the one with the lowest loss on the rows of one fold that were held out. Each row's held-out
    probabilities come from a fit without its fold; the folds have the same share of every label.
    """
    scaling = Scaling.of(features)
    scaled = scaling.apply(features)
    targets = torch.from_numpy(labels)
    folds = torch.from_numpy(_folds(labels))
    held_out = torch.zeros(len(labels), label_count)
    penalty, first = _choose_penalty(scaled, targets, folds == 0, label_count, beat)
    held_out[folds == 0] = first
    for fold in range(1, int(folds.max()) + 1):
        outside = folds != fold
        held_out[~outside] = _minimise(
            scaled[outside], targets[outside], label_count, penalty, None, beat
        ).predict(scaled[~outside])
    final = _minimise(scaled, targets, label_count, penalty, None, beat)
    return FittedProbe(scaling.probe(final.weight, final.bias), held_out)


def fit_once(features: Tensor, labels: Indexes, label_count: int, beat: Callable[[int], None]) -> Probe:
    """Fit the probe to `features` [labeled, hidden], as `fit` does, without asking what it says of those held out."""
    scaling = Scaling.of(features)
    scaled, targets = scaling.apply(features), torch.from_numpy(labels)
    inside = torch.from_numpy(_folds(labels)) == 0
    penalty, _ = _choose_penalty(scaled, targets, inside, label_count, beat)
    final = _minimise(scaled, targets, label_count, penalty, None, beat)
    return scaling.probe(final.weight, final.bias)


def work(rows: int) -> int:
    """About how many rows `fit` goes over, counted each time; it often needs fewer."""
    return rows * (len(PENALTIES) + FOLDS) * _MAX_STEPS // 2


@dataclass(frozen=True, slots=True)
class _Solution:
    weight: Tensor
    bias: Tensor

    def predict(self, features: Tensor) -> Tensor:
        return torch.softmax(F.linear(features, self.weight, self.bias), dim=1)


def _choose_penalty(
    features: Tensor, targets: Tensor, inside: Tensor, label_count: int, beat: Callable[[int], None]
) -> tuple[float, Tensor]:
    """The penalty with the lowest loss on the rows `inside` after a fit to the others, and its probabilities there."""
    solution = None
    best: tuple[float, float, Tensor] | None = None
    for penalty in PENALTIES:
        solution = _minimise(features[~inside], targets[~inside], label_count, penalty, solution, beat)
        predicted = solution.predict(features[inside])
        chosen = predicted[torch.arange(len(predicted)), targets[inside]]
        loss = float(-chosen.clamp_min(1e-12).log().mean())
        if best is None or loss < best[0]:
            best = (loss, penalty, predicted)
    assert best is not None
    return best[1], best[2]


def _folds(labels: Indexes) -> Indexes:
    """Each row's fold: the rows of a label go round the folds, and the labels go on where the one before ended."""
    folds = np.empty(len(labels), dtype=np.int64)
    folds[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % min(FOLDS, len(labels))
    return folds


def _minimise(
    features: Tensor,
    targets: Tensor,
    label_count: int,
    penalty: float,
    start: _Solution | None,
    beat: Callable[[int], None],
) -> _Solution:
    """Minimise the mean cross entropy and its penalty, from `start` or from zero."""

    def loss(weight: Tensor, bias: Tensor, rows: slice) -> Tensor:
        return F.cross_entropy(F.linear(features[rows], weight, bias), targets[rows], reduction="sum")

    shape = (label_count, features.shape[1])
    begin = None if start is None else (start.weight, start.bias)
    return _Solution(*minimise(loss, len(features), shape, penalty, beat, begin))


def minimise(
    loss: Callable[[Tensor, Tensor, slice], Tensor],
    rows: int,
    shape: tuple[int, int],
    penalty: float,
    beat: Callable[[int], None],
    start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Minimise the mean of `loss`, which sums it up over a chunk of rows, plus penalty/2 · |weight|² by L-BFGS.

    shape: of the weight, [labels, hidden]; start: a weight and a bias, else zero. Returns both as found.
    """
    weight, bias = (torch.zeros(shape), torch.zeros(shape[0])) if start is None else start
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_MAX_STEPS,
        history_size=10,
        tolerance_grad=_TOLERANCE,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def loss_and_gradient() -> float:
        optimizer.zero_grad()
        total = 0.0
        for first in range(0, rows, _CHUNK):
            chunk = slice(first, min(rows, first + _CHUNK))
            part = loss(weight, bias, chunk) / rows
            part.backward()
            total += part.item()
            beat(chunk.stop - chunk.start)
        norm = penalty / 2 * weight.square().sum()
        norm.backward()
        return total + norm.item()

    optimizer.step(loss_and_gradient)
    return weight.detach(), bias.detach()
