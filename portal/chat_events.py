"""A chat model's answer as the playground's page reads it: server-sent events, each with a JSON string."""

import json
from collections.abc import Callable, Iterator

import structlog
from flask import Response

from inference.gateway.chat import ChatAnswer, ChatStream
from inference.gateway.prediction import PredictionError
from portal.filters import number

log = structlog.get_logger(__name__)


class ChatEvents:
    """`begun` with the page's part for the answer, a `piece` for each of its pieces, `marked` with the whole answer as
    HTML (what `mark` makes of it), and then `ended` with what it took; or `failed` with the reason. The server closes it
    in any case, and at once where the page goes away."""

    def __init__(self, chat: ChatStream, part: str, mark: Callable[[str], str]) -> None:
        self._chat = chat
        self._part = part
        self._mark = mark

    def response(self) -> Response:
        # A proxy that collects the answer would make a stream of none.
        return Response(self, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield _event("begun", self._part)
            pieces = []
            for piece in self._chat:
                pieces.append(piece)
                yield _event("piece", piece)
            yield _event("marked", self._mark("".join(pieces)))
            # By now what was written is in the ledger.
            yield _event("ended", what_it_took(self._chat))
        except PredictionError as error:
            yield _event("failed", str(error))
        except Exception:
            log.exception("stream_failed", request_id=self._chat.request_id)
            yield _event("failed", "It is our fault and it was noted. Try again in a moment.")

    def close(self) -> None:
        self._chat.close()


def what_it_took(chat: ChatAnswer | ChatStream) -> str:
    """The tokens of an answer that has ended, in words."""
    cut_off = "; the answer was cut off at its longest" if chat.finish_reason == "length" else ""
    return f"{number(chat.prompt_tokens)} tokens read, {number(chat.completion_tokens)} written{cut_off}."


def _event(kind: str, data: str) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
