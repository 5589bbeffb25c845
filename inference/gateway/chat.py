"""What chat models answer, from start to finish: all at once, or piece by piece."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from billing.ledger import Usage
from core.catalogue import Architecture
from core.db import tenant_connection
from core.models.usage import UsageKind
from core.tenancy import Endpoint, Permission, TenantScope
from inference.gateway.bounds import chat_bound
from inference.gateway.metering import Asker
from inference.gateway.pool_client import pool_client
from inference.gateway.pool_stream import PoolStream
from inference.gateway.predict import pool_request
from inference.gateway.prediction import InvalidMessages
from inference.gateway.protect import ProtectedTogether, protect_together
from inference.gateway.targets import (
    CHATTING,
    Target,
    find_base_target,
    find_default_target,
    find_target,
    is_base,
)

log = structlog.get_logger(__name__)

MAXIMUM_MESSAGES = 256
MAXIMUM_BYTES = 128 * 1024
"""Of a request's messages together: more than any model of the catalogue reads."""


@dataclass(frozen=True, slots=True)
class Message:
    """`role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose each token, and when to stop. `temperature` 0 takes the likeliest; None of `max_tokens` leaves it
    to the model's window."""

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: Sequence[str] = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A whole answer; `finish_reason` is "stop" or "length", `policy_version` that of the privacy policy.

    `reading` is what the model read of the messages.
    """

    request_id: str
    model: str
    policy_version: int
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    reading: ProtectedTogether = field(repr=False)


Finish = Callable[[Session, ChatAnswer], None]
"""Is called with the answer in the transaction that records the request, just before it is committed."""


class ChatStream:
    """An answer under way: iterate over its pieces of text, and close it in any case.

    What was read is in the ledger before there is one of these. What was written gets there when the pieces end, or
    at `close` where the client went away: the pool stops then, and only the tokens made so far are billed.
    """

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._stream = run.stream
        self._is_open = True
        self.request_id = run.asker.request_id
        self.model = run.target.name
        self.policy_version = run.target.policy.version
        self.prompt_tokens = run.stream.prompt_tokens
        self.reading = run.reading

    @property
    def finish_reason(self) -> str | None:
        """None until the end."""
        return self._stream.finish_reason

    @property
    def completion_tokens(self) -> int:
        """So far."""
        return self._stream.completion_tokens

    def __iter__(self) -> Iterator[str]:
        """Raises a PredictionError where the pool fails half-way; what was written until then is billed."""
        with closing(self):
            yield from self._run.restore(self._pieces())

    def _pieces(self) -> Iterator[str]:
        for piece in self._stream:
            self._run.hold.keep()
            yield piece

    def close(self) -> None:
        """Stop the pool, and put what was written into the ledger. Closing twice changes nothing."""
        if self._is_open:
            self._is_open = False
            self._stream.close()
            self._run.asker.record(self._run.written())
            self._run.log(streamed=True, finish_reason=self.finish_reason or "left")


def complete_chat(
    asker: Asker,
    model: str | None,
    messages: Sequence[Message],
    sampling: Sampling,
    *,
    default_model_id: UUID | None = None,
    finish: Finish | None = None,
) -> ChatAnswer:
    """Have the tenant's chat model, or a base model by its id, answer; None takes the key's default.

    Personal data in the messages is replaced first, and put back in the answer. Returns once both usage facts are committed.
    Raises PermissionDenied, or a PredictionError, and then nothing is billed.
    """
    run = _Run(asker, messages, sampling, partial(_find, name=model, default_model_id=default_model_id))
    with run.hold:
        with closing(run.stream):
            text = "".join(run.restore(run.stream))
        answer = ChatAnswer(
            request_id=asker.request_id,
            model=run.target.name,
            policy_version=run.target.policy.version,
            text=text,
            finish_reason=run.stream.finish_reason or "stop",
            prompt_tokens=run.stream.prompt_tokens,
            completion_tokens=run.stream.completion_tokens,
            reading=run.reading,
        )
        also = None if finish is None else lambda session: finish(session, answer)
        asker.record(run.read(), run.written(), also=also)
    run.log(streamed=False, finish_reason=answer.finish_reason)
    return answer


def stream_chat(asker: Asker, model: str, messages: Sequence[Message], sampling: Sampling) -> ChatStream:
    """The same piece by piece. Raises as `complete_chat` does until there is a stream."""
    run = _Run(asker, messages, sampling, partial(_find, name=model))
    try:
        with run.hold:
            asker.record(run.read())
    except BaseException:
        run.stream.close()
        raise
    return ChatStream(run)


class _Run:
    """One chat on its way: opened in the pool, with what goes into the ledger for it."""

    def __init__(
        self,
        asker: Asker,
        messages: Sequence[Message],
        sampling: Sampling,
        find: Callable[[Connection, TenantScope], Target],
    ) -> None:
        asker.scope.require(Permission.PREDICT)
        asker.scope.reach.require(Endpoint.CHAT)
        check_messages(messages)
        self._started = time.perf_counter()
        self.asker = asker
        # No connection is held from here to the ledger: the pool takes its time.
        with tenant_connection(asker.scope) as connection:
            self.target = find(connection, asker.scope)
        contents = [message.content for message in messages]
        self.reading = protect_together(contents, self.target.policy, self.target.key)
        self.restore = self.reading.restorer()
        body = {
            "messages": [
                {"role": message.role, "content": content}
                for message, content in zip(messages, self.reading.contents, strict=True)
            ],
            **asdict(sampling),
            "stop": [self.reading.cover(stop) for stop in sampling.stop],
        }
        most = chat_bound(self.reading.contents, sampling.max_tokens, self.target.base)
        self.hold = asker.reserve(self.target, most)
        with self.hold:
            self.stream: PoolStream = pool_client().chat(pool_request(asker, self.target), body)

    def read(self) -> Usage:
        return self.asker.usage(self.target, UsageKind.CHAT_INPUT, self.stream.prompt_tokens, inputs=1)

    def written(self) -> Usage:
        return self.asker.usage(self.target, UsageKind.CHAT_OUTPUT, self.stream.completion_tokens, inputs=0)

    def log(self, *, streamed: bool, finish_reason: str) -> None:
        log.info(
            "chatted",
            request_id=self.asker.request_id,
            tenant_id=str(self.asker.scope.tenant_id),
            model_id=str(self.target.model_id) if self.target.model_id else self.target.base,
            source=self.asker.source,
            prompt_tokens=self.stream.prompt_tokens,
            completion_tokens=self.stream.completion_tokens,
            streamed=streamed,
            finish_reason=finish_reason,
            ms=round((time.perf_counter() - self._started) * 1000, 1),
        )


def check_messages(messages: Sequence[Message]) -> None:
    """Raise InvalidMessages unless a model can be asked to answer them."""
    if not 1 <= len(messages) <= MAXIMUM_MESSAGES:
        raise InvalidMessages(f"Send 1 to {MAXIMUM_MESSAGES} messages in one request, not {len(messages)}.")
    total = 0
    for index, message in enumerate(messages):
        try:
            total += len(message.content.encode())
        except UnicodeEncodeError:
            raise InvalidMessages(
                f"Message {index} holds half of a surrogate pair; send UTF-8.", f"messages[{index}].content"
            ) from None
    if total > MAXIMUM_BYTES:
        raise InvalidMessages(
            f"The messages have {total} bytes; those of one request may have {MAXIMUM_BYTES}."
        )
    if not any(message.role == "user" and message.content.strip() for message in messages):
        raise InvalidMessages("There is no message of the user's to answer.")


def _find(
    connection: Connection, scope: TenantScope, *, name: str | None, default_model_id: UUID | None = None
) -> Target:
    if name is None:
        return find_default_target(connection, scope, default_model_id)
    if is_base(name):
        return find_base_target(connection, scope, name, Architecture.DECODER)
    return find_target(connection, scope, name, CHATTING)
