"""Requests to a chat engine, and what it made of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from inference.pool.chat.engine import ChatEngine
from inference.pool.chat.requests import ChatRequest, Delta, Failed, Finished
from inference.pool.chat.sampling import Sampling

GREEDY = Sampling(temperature=0)
_numbers = count(1)


def request(prompt: Sequence[int], **fields: Any) -> ChatRequest:
    """A greedy request of tenant "t" that waits as long as it must, with `fields` laid over."""
    defaults: dict[str, Any] = {"tenant": "t", "deadline": 1e12, "sampling": GREEDY}
    return ChatRequest(id=f"r{next(_numbers)}", prompt=tuple(prompt), **{**defaults, **fields})


@dataclass
class Outcome:
    """What came of one request: its pieces of text, and its end."""

    pieces: list[str] = field(default_factory=list)
    end: Finished | Failed | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def reason(self) -> str:
        """Why it ended, or the code of its failure."""
        if self.end is None:
            return "not ended"
        return self.end.reason if isinstance(self.end, Finished) else self.end.code

    @property
    def tokens(self) -> int:
        assert isinstance(self.end, Finished)
        return self.end.tokens


class Run:
    """An engine's steps, and the outcomes by request id so far."""

    def __init__(self, engine: ChatEngine) -> None:
        self.engine = engine
        self.outcomes: dict[str, Outcome] = defaultdict(Outcome)

    def step(self, now: float = 0.0) -> None:
        for event in self.engine.step(now):
            outcome = self.outcomes[event.id]
            assert outcome.end is None, "an event came after the end"
            if isinstance(event, Delta):
                outcome.pieces.append(event.text)
            else:
                outcome.end = event

    def finish(self) -> None:
        while self.engine.busy:
            self.step()


def answer(engine: ChatEngine, *requests: ChatRequest) -> list[Outcome]:
    """The outcomes of requests that come at once."""
    run = Run(engine)
    for each in requests:
        engine.add(each)
    run.finish()
    return [run.outcomes[each.id] for each in requests]


def answer_staggered(engine: ChatEngine, arrivals: Mapping[int, Sequence[ChatRequest]]) -> dict[str, Outcome]:
    """The outcomes of requests that come before the steps that `arrivals` says."""
    run = Run(engine)
    for number in range(max(arrivals) + 1):
        for each in arrivals.get(number, ()):
            engine.add(each)
        run.step()
    run.finish()
    return dict(run.outcomes)
