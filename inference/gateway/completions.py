"""Chats as OpenAI's clients read them: whole, or as a stream of events."""

import json
import time
from collections.abc import Iterator

import structlog
from flask import Response

from inference.gateway import limits
from inference.gateway.asking import asker
from inference.gateway.bodies import json_response
from inference.gateway.chat import ChatAnswer, ChatStream, Message, Sampling, complete_chat, stream_chat
from inference.gateway.errors import from_prediction, internal_error
from inference.gateway.idempotency import Answer, idempotent, refuse_key
from inference.gateway.prediction import PredictionError
from inference.gateway.rates import Taken, process_rates
from inference.gateway.schemas.chat import (
    AnswerMessage,
    ChatChunk,
    ChatRequest,
    ChatResponse,
    ChatUsage,
    Choice,
    ChunkChoice,
    Delta,
    SamplingFields,
)

log = structlog.get_logger(__name__)

_SYSTEM = {"developer": "system"}
_NO_KEY_FOR_STREAMS = (
    "A stream cannot be answered from a record: leave out the Idempotency-Key, or set 'stream' to false."
)


def complete(model: str, body: ChatRequest) -> Response:
    """Have `model` answer `body`, as a stream where it asks for one."""
    messages, sampling = chat_messages(body), chat_sampling(body)
    if body.stream:
        refuse_key(_NO_KEY_FOR_STREAMS)
        return _stream(model, messages, sampling, body)
    return _whole(model, messages, sampling)


@idempotent
def _whole(model: str, messages: list[Message], sampling: Sampling) -> Response:
    limits.reserve_chat([message.content for message in messages], sampling.max_tokens)
    made = Answer[ChatAnswer](lambda chat: json_response(chat_response(chat)))
    chat = complete_chat(asker(), model, messages, sampling, finish=made.finish)
    limits.settle(chat.prompt_tokens + chat.completion_tokens)
    return made.response


def _stream(model: str, messages: list[Message], sampling: Sampling, body: ChatRequest) -> Response:
    limits.reserve_chat([message.content for message in messages], sampling.max_tokens)
    chat = stream_chat(asker(), model, messages, sampling)
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    events = _Events(chat, limits.settle_later(), include_usage=include_usage)
    # A proxy that collects the answer would make a stream of none.
    return Response(events, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})


class _Events:
    """An answer as server-sent events. The server closes it in any case, and at once where the client goes away."""

    def __init__(self, chat: ChatStream, taken: Taken, *, include_usage: bool) -> None:
        self._chat = chat
        self._taken = taken
        self._include_usage = include_usage
        self._created = int(time.time())

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield self._chunk(Delta(role="assistant", content=""))
            for piece in self._chat:
                yield self._chunk(Delta(content=piece))
            # By now what was written is in the ledger.
            yield self._chunk(Delta(), self._chat.finish_reason)
            if self._include_usage:
                yield self._event(self._empty().model_copy(update={"usage": self._usage()}).model_dump_json())
            yield self._event("[DONE]")
        except PredictionError as error:
            yield self._event(json.dumps(from_prediction(error).body(self._chat.request_id)))
        except Exception:
            log.exception("stream_failed", request_id=self._chat.request_id)
            yield self._event(json.dumps(internal_error().body(self._chat.request_id)))

    def close(self) -> None:
        try:
            self._chat.close()
        finally:
            process_rates().settle(self._taken, self._chat.prompt_tokens + self._chat.completion_tokens)

    def _chunk(self, delta: Delta, finish_reason: str | None = None) -> bytes:
        choice = ChunkChoice(delta=delta, finish_reason=finish_reason)
        chunk = self._empty()
        chunk.choices.append(choice)
        return self._event(chunk.model_dump_json(exclude={"choices": {0: {"delta": _unset(delta)}}}))

    def _empty(self) -> ChatChunk:
        return ChatChunk(
            id=_id(self._chat.request_id),
            created=self._created,
            model=self._chat.model,
            policy_version=self._chat.policy_version,
            choices=[],
        )

    def _usage(self) -> ChatUsage:
        return ChatUsage.of(self._chat.prompt_tokens, self._chat.completion_tokens)

    @staticmethod
    def _event(data: str) -> bytes:
        return f"data: {data}\n\n".encode()


def _unset(delta: Delta) -> set[str]:
    return {name for name in ("role", "content") if getattr(delta, name) is None}


def chat_response(chat: ChatAnswer) -> ChatResponse:
    """A whole answer's body."""
    return ChatResponse(
        id=_id(chat.request_id),
        created=int(time.time()),
        model=chat.model,
        policy_version=chat.policy_version,
        choices=[Choice(message=AnswerMessage(content=chat.text), finish_reason=chat.finish_reason)],
        usage=ChatUsage.of(chat.prompt_tokens, chat.completion_tokens),
    )


def _id(request_id: str) -> str:
    return f"chatcmpl-{request_id.removeprefix('req_')}"


def chat_messages(body: ChatRequest) -> list[Message]:
    """The messages that `body` asks about."""
    return [Message(_SYSTEM.get(one.role, one.role), one.text) for one in body.messages]


def chat_sampling(body: SamplingFields) -> Sampling:
    """How `body` wants its answer to be chosen."""
    return Sampling(
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
        stop=body.stop,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
    )
