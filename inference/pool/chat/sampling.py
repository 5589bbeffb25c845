"""How one row chooses its next token. Each row has a generator of its own, so that its text is its seed's alone."""

import secrets
from dataclasses import dataclass

import torch
from torch import Tensor

_COLDEST = 1e-3
"""Below this temperature the highest logit wins: dividing by less would overflow."""

_FIRST_CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class Sampling:
    """A request's settings, as OpenAI's API defines them.

    temperature: 0 chooses the likeliest token; top_p: of the likeliest tokens, so many as have this probability
    together; the penalties are subtracted from the logits of tokens that the answer has already, once for each time
    (frequency) or once (presence).
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0


class Sampler:
    """Chooses the tokens of one answer."""

    def __init__(self, sampling: Sampling, vocabulary: int) -> None:
        self._sampling = sampling
        self._generator = torch.Generator()
        self._generator.manual_seed(secrets.randbits(63) if sampling.seed is None else sampling.seed)
        self._chosen: set[int] = set()
        self._penalties: Tensor | None = None
        if sampling.frequency_penalty or sampling.presence_penalty:
            self._penalties = torch.zeros(vocabulary)

    def choose(self, logits: Tensor) -> int:
        """The next token, from finite logits [vocabulary]."""
        if self._penalties is not None:
            logits = logits - self._penalties
        if self._sampling.temperature < _COLDEST:
            token = int(logits.argmax())
        else:
            token = self._draw(torch.softmax(logits / self._sampling.temperature, dim=-1))
        if self._penalties is not None:
            first = token not in self._chosen
            self._chosen.add(token)
            self._penalties[token] += (
                self._sampling.frequency_penalty + first * self._sampling.presence_penalty
            )
        return token

    def _draw(self, probabilities: Tensor) -> int:
        # One number a token, always: what a seed gives does not depend on the other settings.
        number = torch.rand((), generator=self._generator, dtype=torch.float64)
        if self._sampling.top_p >= 1:
            return _at(probabilities.double().cumsum(0), number)
        sums, ids = _likeliest(probabilities, self._sampling.top_p)
        return int(ids[_at(sums, number)])


def _at(sums: Tensor, number: Tensor) -> int:
    """Where `number`, of [0, 1), falls in cumulated probabilities."""
    place = int(torch.searchsorted(sums, number * sums[-1], right=True))
    return min(place, len(sums) - 1)


def _likeliest(probabilities: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The fewest likeliest tokens that have `top_p` together, at least one: their cumulated probabilities, their
    ids."""
    # Sorting the whole vocabulary takes longer than all the rest; a few candidates nearly always do.
    candidates = _FIRST_CANDIDATES
    while True:
        candidates = min(candidates, len(probabilities))
        values, ids = probabilities.topk(candidates)
        sums = values.double().cumsum(0)
        if candidates == len(probabilities) or float(sums[-1]) >= top_p:
            count = int((sums < top_p).sum()) + 1
            return sums[:count], ids[:count]
        candidates *= 8
