"""What the chat engine is asked, and what it says of it."""

from dataclasses import dataclass, field

from inference.pool.chat.adapters import ChatAdapter
from inference.pool.chat.sampling import Sampling


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One answer to be written. `deadline` is in epoch seconds: by then its first token must have been begun.

    `adapter` is None where the base itself answers. `max_tokens` None: as many as the context has room for.
    """

    id: str
    tenant: str
    prompt: tuple[int, ...]
    deadline: float
    adapter: ChatAdapter | None = None
    weight: int = 1
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the answer's text. `tokens` counts those that were chosen so far."""

    id: str
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. `reason` is "stop" or "length"; `tokens` counts those that were chosen, the end's too."""

    id: str
    reason: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no more to come. `code` is one of those that the pool's API documents; `retry_after` in seconds."""

    id: str
    code: str
    message: str
    retry_after: int | None = None


Event = Delta | Finished | Failed
