"""The chat engine: requests of any tenants in, text out, token by token. It knows no HTTP and no process.

Continuous batching: every step takes one token of each row that decodes and a stretch of a prompt that is being read,
so rows join and leave between tokens and a long prompt holds up nobody for longer than one stretch takes. What a row
writes depends on its request only: its numbers do not depend on its neighbours (see Linear), its prompt is always cut at
the same places, and it draws from a generator of its own.
"""

from dataclasses import dataclass

import torch

from inference.pool.chat.adapters import ChatAdapter
from inference.pool.chat.admission import Admission
from inference.pool.chat.base import ChatBase
from inference.pool.chat.kv import KvCache
from inference.pool.chat.lora import AdapterStack
from inference.pool.chat.passes import Stacked, Stretch
from inference.pool.chat.requests import ChatRequest, Event, Failed, Finished
from inference.pool.chat.rows import Row

_CHUNKS_UNDISTURBED = 4
"""How many chunks one step reads while no row decodes, and so none is held up."""


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """`rows` and `kv_tokens` bound what is answered at once, the queue limits (in tokens) what may wait.

    `chunk_tokens`: how much of a prompt one step reads. More is faster for it, and slower for the rows that decode.
    """

    rows: int = 16
    kv_tokens: int = 16384
    chunk_tokens: int = 64
    tenant_queue_tokens: int = 1 << 16
    queue_tokens: int = 1 << 18


class PromptTooLong(Exception):
    """The prompt leaves no room for an answer."""


class ChatEngine:
    """Answers requests in steps. Not thread-safe: one thread owns it. `tokens_read` counts what it has done."""

    def __init__(self, base: ChatBase, limits: ChatLimits) -> None:
        """Raises ValueError where not even one row of the base's full length would fit."""
        if limits.kv_tokens < base.max_length:
            raise ValueError(f"The KV memory must hold at least {base.max_length} tokens, one full row.")
        self.base = base
        self._chunk = limits.chunk_tokens
        self._kv = KvCache(base.decoder.config, limits.kv_tokens)
        self._admission = Admission(
            rows=limits.rows,
            tokens=limits.kv_tokens,
            tenant_limit=limits.tenant_queue_tokens,
            total_limit=limits.queue_tokens,
        )
        self._stacks: dict[int, AdapterStack] = {}
        self._stacked: dict[int, list[Row]] = {}
        self._alone: list[Row] = []
        self._reading: list[Row] = []
        self._rows: dict[str, Row] = {}
        self.tokens_read = 0

    def add(self, request: ChatRequest) -> None:
        """Let `request` wait for its turn.

        Raises TenantQueueFull or PoolQueueFull, PromptTooLong, and ValueError for a prompt of nothing.
        """
        if not request.prompt:
            raise ValueError("The prompt is empty.")
        if len(request.prompt) >= self.base.max_length:
            raise PromptTooLong(
                f"The prompt has {len(request.prompt)} tokens; "
                f"the model reads and writes {self.base.max_length} in all."
            )
        self._admission.offer(request, len(request.prompt) + self._answer_tokens(request))

    def cancel(self, request_id: str) -> None:
        """Forget a request at once, whether it waits or is being answered. An id that is unknown is no matter."""
        row = self._rows.get(request_id)
        if row is not None:
            self._release(row)
        else:
            self._admission.cancel(request_id)

    def step(self, now: float) -> list[Event]:
        """One token for every row; `now` is in epoch seconds. Returns what is new of any request, in order."""
        events = self._admit(now)
        with torch.inference_mode():
            return events + self._run()

    def abandon(self) -> list[Event]:
        """Give up every row that is being answered, after a step that failed."""
        failed: list[Event] = [
            Failed(request_id, "engine_failed", "The engine failed.") for request_id in self._rows
        ]
        for row in list(self._rows.values()):
            self._release(row)
        return failed

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do."""
        return bool(self._rows) or self._admission.waiting > 0

    @property
    def live_rows(self) -> int:
        return len(self._rows)

    @property
    def reserved_tokens(self) -> int:
        """KV memory in use, in tokens."""
        return self._kv.reserved

    @property
    def queued_tokens(self) -> int:
        return self._admission.queued_tokens

    def queued_tenants(self) -> dict[str, int]:
        """Tokens waiting, by tenant, of the tenants that have any."""
        return self._admission.queued_tenants()

    def _answer_tokens(self, request: ChatRequest) -> int:
        room = self.base.max_length - len(request.prompt)
        return room if request.max_tokens is None else min(request.max_tokens, room)

    def _admit(self, now: float) -> list[Event]:
        events: list[Event] = []
        while True:
            admitted = self._admission.take(now)
            events += [
                Failed(late.id, "deadline", "The request waited for too long.") for late in admitted.expired
            ]
            request = admitted.request
            if request is None:
                return events
            cache = self._kv.reserve(admitted.tokens)
            row = Row(request, self.base, cache, self._answer_tokens(request))
            self._rows[request.id] = row
            self._reading.append(row)

    def _run(self) -> list[Event]:
        rows, stacks = self._decoding()
        plan = [(row, row.next_tokens(self._chunk)) for row in rows]
        plan += self._prompts(self._chunk if rows else _CHUNKS_UNDISTURBED * self._chunk)
        if not plan:
            return []
        chosen: list[tuple[Row, int]] = []
        tokens = 0
        for row, stretch in plan:
            tokens += len(stretch.ids)
            if row.has_read(stretch):
                chosen.append((row, tokens - 1))
        self.tokens_read += tokens
        logits = self.base.decoder.forward(
            [stretch for _, stretch in plan], stacks, [place for _, place in chosen]
        )
        # A sum is finite if all are, and NaN or infinite if one is.
        finite = torch.isfinite(logits.sum(dim=-1)).tolist()
        events: list[Event] = []
        for index, (row, _) in enumerate(chosen):
            events += (
                self._write(row, row.sampler.choose(logits[index])) if finite[index] else self._break(row)
            )
        return events

    def _decoding(self) -> tuple[list[Row], list[Stacked]]:
        """The rows that decode, those of one stack in the order of its slots, and where each stack's begin."""
        rows: list[Row] = []
        stacks = []
        for rank, stack in self._stacks.items():
            stacks.append(Stacked(stack, len(rows)))
            rows += self._stacked[rank]
        return rows + self._alone, stacks

    def _prompts(self, room: int) -> list[tuple[Row, Stretch]]:
        """Stretches of prompts for this step, of at most `room` tokens: the first that waits, and those behind it."""
        plan: list[tuple[Row, Stretch]] = []
        for row in self._reading:
            stretch = row.next_tokens(self._chunk)
            if len(stretch.ids) > room:
                break
            plan.append((row, stretch))
            room -= len(stretch.ids)
        return plan

    def _write(self, row: Row, token: int) -> list[Event]:
        if not row.decodes:
            self._reading.remove(row)
            self._join(row)
        events = row.write(token)
        if events and isinstance(events[-1], Finished):
            self._release(row)
        return events

    def _break(self, row: Row) -> list[Event]:
        self._release(row)
        if row.request.adapter is None:
            return [Failed(row.request.id, "engine_failed", "The engine failed.")]
        message = "The adapter computes numbers that are not finite."
        return [Failed(row.request.id, "adapter_broken", message)]

    def _join(self, row: Row) -> None:
        """Put a row whose prompt is read among those that decode."""
        adapter: ChatAdapter | None = row.request.adapter
        if adapter is None or adapter.stack_rank is None:
            self._alone.append(row)
            return
        rank = adapter.stack_rank
        if rank not in self._stacks:
            decoder = self.base.decoder
            self._stacks[rank] = AdapterStack(rank, decoder.joins, decoder.config.layers)
            self._stacked[rank] = []
        row.stack = self._stacks[rank]
        row.stack.join(adapter.layers)
        self._stacked[rank].append(row)

    def _release(self, row: Row) -> None:
        """Take a row out, with all that it holds."""
        del self._rows[row.request.id]
        self._admission.release(row.request, row.cache.capacity)
        self._kv.release(row.cache)
        if row.stack is not None:
            self._leave(row, row.stack)
        elif row in self._alone:
            self._alone.remove(row)
        else:
            self._reading.remove(row)

    def _leave(self, row: Row, stack: AdapterStack) -> None:
        rows = self._stacked[stack.rank]
        slot = rows.index(row)
        stack.leave(slot)
        rows[slot] = rows[-1]
        rows.pop()
        if not rows:
            del self._stacks[stack.rank], self._stacked[stack.rank]
