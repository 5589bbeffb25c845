"""The body of POST /v1/chat, checked before anything is done with it."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from inference.pool.chat.sampling import Sampling
from inference.pool.errors import PoolError

ROLES = frozenset({"system", "user", "assistant"})
MAXIMUM_STOPS = 16
MAXIMUM_STOP_LENGTH = 256
_SEEDS = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class ChatBody:
    """What a client asks for: a conversation to be answered, and how."""

    messages: list[dict[str, str]]
    max_tokens: int | None
    stop: list[str]
    sampling: Sampling

    def request_fields(self) -> dict[str, Any]:
        """The fields of a request to the engine that the body decides."""
        return {"max_tokens": self.max_tokens, "stop": self.stop, "sampling": asdict(self.sampling)}


def parse_chat(body: bytes) -> ChatBody:
    """The body, with OpenAI's defaults for what it leaves out. Raises PoolError that says what is wrong."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise _wrong("The body is not JSON.") from None
    if not isinstance(values, dict):
        raise _wrong("The body is not a JSON object.")
    return ChatBody(
        messages=_messages(values.get("messages")),
        max_tokens=_whole(values, "max_tokens", range(1, 1 << 31)),
        stop=_stops(values.get("stop") or []),
        sampling=Sampling(
            temperature=_number(values, "temperature", 1.0, 0.0, 2.0),
            top_p=_number(values, "top_p", 1.0, 0.0, 1.0),
            seed=_whole(values, "seed", _SEEDS),
            frequency_penalty=_number(values, "frequency_penalty", 0.0, -2.0, 2.0),
            presence_penalty=_number(values, "presence_penalty", 0.0, -2.0, 2.0),
        ),
    )


def _messages(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise _wrong('"messages" is not a list of at least one message.')
    for message in value:
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise _wrong('A message is not {"role": "system|user|assistant", "content": text}.')
        if not isinstance(message["content"], str) or not _is_text(message["content"]):
            raise _wrong("A message's content is not text.")
        if not isinstance(message["role"], str) or message["role"] not in ROLES:
            raise _wrong(f"A message's role is not one of {', '.join(sorted(ROLES))}.")
    return value


def _stops(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAXIMUM_STOPS:
        raise _wrong(f'"stop" is not a list of at most {MAXIMUM_STOPS} texts.')
    if not all(isinstance(stop, str) and 0 < len(stop) <= MAXIMUM_STOP_LENGTH for stop in value):
        raise _wrong(f"A stop string is not a text of 1 to {MAXIMUM_STOP_LENGTH} characters.")
    return value


def _number(values: Mapping[str, Any], name: str, default: float, lowest: float, highest: float) -> float:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(f'"{name}" is not a number.')
    if not lowest <= value <= highest:
        raise _wrong(f'"{name}" is not between {lowest:g} and {highest:g}.')
    return float(value)


def _whole(values: Mapping[str, Any], name: str, allowed: range) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise _wrong(
            f'"{name}" is neither null nor a whole number from {allowed.start} to {allowed.stop - 1}.'
        )
    return value


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: half of a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(message: str) -> PoolError:
    return PoolError(400, "invalid_body", message)
