"""A request while it is being answered."""

from inference.pool.chat.base import ChatBase
from inference.pool.chat.kv import RowCache
from inference.pool.chat.lora import AdapterStack, LayerChanges
from inference.pool.chat.passes import Stretch
from inference.pool.chat.requests import ChatRequest, Delta, Event, Finished
from inference.pool.chat.sampling import Sampler
from inference.pool.chat.text import StopFilter, TokenDecoder


class Row:
    """One request's state: what it has read, what it has written, and how it chooses.

    `stack` holds its adapter while it decodes, if any does.
    """

    def __init__(self, request: ChatRequest, base: ChatBase, cache: RowCache, max_tokens: int) -> None:
        self.request = request
        self.cache = cache
        self.sampler = Sampler(request.sampling, base.decoder.config.vocabulary)
        self.stack: AdapterStack | None = None
        self._ends = base.decoder.config.end_ids
        self._max_tokens = max_tokens
        self._read = 0
        self._written = 0
        self._latest: int | None = None
        self._decoder = TokenDecoder(base.token_bytes)
        self._filter = StopFilter(request.stop)

    @property
    def decodes(self) -> bool:
        """Whether the prompt is read, so that the row goes on token by token."""
        return self._latest is not None

    @property
    def adapter(self) -> tuple[LayerChanges, ...]:
        return self.request.adapter.layers if self.request.adapter else ()

    def next_tokens(self, chunk: int) -> Stretch:
        """What the row reads next: its latest token, or at most `chunk` tokens of its prompt."""
        if self._latest is not None:
            ids: tuple[int, ...] = (self._latest,)
        else:
            ids = self.request.prompt[self._read : self._read + chunk]
        return Stretch(ids, self._read, self.cache, () if self.stack is not None else self.adapter)

    def has_read(self, stretch: Stretch) -> bool:
        """Note that the stretch is read; whether a token is to be chosen now."""
        self._read = stretch.end
        return self._read >= len(self.request.prompt)

    def write(self, token: int) -> list[Event]:
        """What the next token makes of the answer; a last event of Finished ends it."""
        self._latest = token
        self._written += 1
        if token in self._ends:
            return self._end("stop", self._filter.flush())
        text, stopped = self._filter.push(self._decoder.push(token))
        if stopped:
            return self._end("stop", text)
        if self._written < self._max_tokens:
            return [Delta(self.request.id, text, self._written)] if text else []
        more, stopped = self._filter.push(self._decoder.flush())
        return self._end("stop" if stopped else "length", text + more + self._filter.flush())

    def _end(self, reason: str, text: str) -> list[Event]:
        finished = Finished(self.request.id, reason, self._written)
        return [Delta(self.request.id, text, self._written), finished] if text else [finished]
