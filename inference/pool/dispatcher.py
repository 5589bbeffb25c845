"""Between requests and engines: queues rows fairly, runs them in batches, hands the results back."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

import structlog
from torch import Tensor

from inference.pool.engine_client import BatchFailed, EngineDied
from inference.pool.metrics import PoolMetrics
from inference.pool.scheduler import FairScheduler, Work
from inference.pool.wire import QueuedRow

log = structlog.get_logger(__name__)

_FIRST_GUESS_TOKENS_PER_SECOND = 2000.0
_SMOOTHING = 0.2
_LONGEST_RETRY_SECONDS = 30
_RESTART_SECONDS = 1.0
"""Between an engine that could not start and the next try."""


class DeadlinePassed(Exception):
    """The request waited for longer than its answer was of use."""


class EngineFailed(Exception):
    """The engines could not run the batch that held the request, twice."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


@dataclass(slots=True)
class _Request:
    """A request whose rows are queued: the future resolves once every row has its result."""

    tenant: str
    answer: asyncio.Future[list[Tensor | None]]
    results: dict[int, Tensor | None] = field(default_factory=dict)

    def put(self, index: int, result: Tensor | None, of: int) -> None:
        self.results[index] = result
        if len(self.results) == of and not self.answer.done():
            self.answer.set_result([self.results[i] for i in range(of)])

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row belongs: row `index` of the `of` rows of `request`."""

    row: QueuedRow
    request: _Request
    index: int
    of: int


@dataclass(frozen=True, slots=True)
class _Batch:
    places: list[_Place]
    again: bool = False
    """Whether the rows failed once already."""

    @property
    def tokens(self) -> int:
        return sum(len(place.row.ids) for place in self.places)


class RunningEngine(Protocol):
    """An engine that takes one batch at a time, wherever it runs; engine_client.EngineClient says what it raises."""

    @property
    def pid(self) -> int:
        """Of the process that computes, or where that is on another machine, of the one that asks it."""
        ...

    async def run(self, rows: Sequence[QueuedRow]) -> list[Tensor | None]: ...
    async def stop(self) -> None: ...


StartEngine = Callable[[], Awaitable[RunningEngine]]
"""Starts an engine, and returns once it is ready. Raises EngineDied."""


class Dispatcher:
    """Owns the scheduler and the engines. Every method runs on the event loop.

    `running_tokens` are those of the batches that engines have just now.
    """

    def __init__(
        self,
        start_engine: StartEngine,
        *,
        engines: int,
        batch_tokens: int,
        tenant_queue_tokens: int,
        queue_tokens: int,
        metrics: PoolMetrics,
    ) -> None:
        self._start_engine = start_engine
        self._engines = engines
        self._batch_tokens = batch_tokens
        self._metrics = metrics
        self._scheduler: FairScheduler[_Place] = FairScheduler(
            tenant_limit=tenant_queue_tokens, total_limit=queue_tokens, quantum=max(1, batch_tokens // 2)
        )
        self._failed: deque[_Batch] = deque()
        self._wake = asyncio.Event()
        self._running: dict[int, RunningEngine] = {}
        self.running_tokens = 0
        self._tokens_per_second = _FIRST_GUESS_TOKENS_PER_SECOND

    def check_open(self, tenant: str) -> None:
        """See FairScheduler.check_open."""
        self._scheduler.check_open(tenant)

    async def run_rows(
        self,
        tenant: str,
        rows: Sequence[QueuedRow],
        *,
        deadline: float,
        weight: int,
        gone: Callable[[], Awaitable[None]],
    ) -> list[Tensor | None]:
        """The engine's result of each row, in order; None where its adapter gave a number that is not finite.

        `deadline` is in epoch seconds. What `gone` gives ends when nobody waits for the answer any more: rows that still queue
        are dropped then. Raises TenantQueueFull or PoolQueueFull, DeadlinePassed, EngineFailed, ClientGone.
        """
        request = _Request(tenant, asyncio.get_running_loop().create_future())
        work = [
            Work(len(row.ids), deadline, _Place(row, request, index, len(rows)))
            for index, row in enumerate(rows)
        ]
        self._scheduler.offer(tenant, work, weight=weight)
        self._wake.set()
        watch = asyncio.ensure_future(self._drop_when(gone, request))
        try:
            return await request.answer
        finally:
            watch.cancel()

    async def _drop_when(self, gone: Callable[[], Awaitable[None]], request: _Request) -> None:
        await gone()
        request.fail(ClientGone("The client has gone."))
        self._scheduler.remove(request.tenant, lambda place: place.request is request)

    def retry_after(self, queued_tokens: int) -> int:
        """Whole seconds after which a queue of so many tokens should have room."""
        return max(1, min(_LONGEST_RETRY_SECONDS, math.ceil(queued_tokens / self._tokens_per_second)))

    def queued_tenants(self) -> dict[str, int]:
        return self._scheduler.queued_tenants()

    @property
    def queued_tokens(self) -> int:
        return self._scheduler.queued_tokens

    def engine_pids(self) -> list[int]:
        """The processes of the engines that run."""
        return [engine.pid for engine in self._running.values()]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Batches run inside this context."""
        tasks = [asyncio.create_task(self._keep_engine(number)) for number in range(self._engines)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_engine(self, number: int) -> None:
        """Run batches on an engine, and start another whenever it dies."""
        while True:
            try:
                engine = await self._start_engine()
            except (EngineDied, OSError) as error:
                log.error("engine_not_started", engine=number, reason=str(error))
                await asyncio.sleep(_RESTART_SECONDS)
                continue
            self._running[number] = engine
            try:
                while True:
                    while not (self._failed or self._scheduler.queued_tokens):
                        self._wake.clear()
                        await self._wake.wait()
                    await self._run_batch(engine)
            except EngineDied as error:
                log.error("engine_died", engine=number, reason=str(error))
                self._metrics.engine_deaths.inc()
            finally:
                del self._running[number]
                await engine.stop()

    async def _run_batch(self, engine: RunningEngine) -> None:
        batch = self._next_batch()
        if not batch.places:
            return
        started = time.perf_counter()
        self.running_tokens += batch.tokens
        try:
            results = await engine.run([place.row for place in batch.places])
        except (BatchFailed, EngineDied) as error:
            self._give_back(batch)
            if isinstance(error, EngineDied):
                raise
            return
        finally:
            self.running_tokens -= batch.tokens
        for place, result in zip(batch.places, results, strict=True):
            place.request.put(place.index, result, place.of)
        self._observe(batch.tokens, time.perf_counter() - started)

    def _next_batch(self) -> _Batch:
        """What runs next; it may turn out empty."""
        if self._failed:
            batch = self._failed.popleft()
        else:
            taken = self._scheduler.take(self._batch_tokens, time.time())
            for late in taken.expired:
                late.payload.request.fail(DeadlinePassed("The request waited for too long."))
            batch = _Batch([work.payload for work in taken.work])
        # A request that is answered already (one of its rows was late, its client has gone) needs no more
        # rows.
        return _Batch([place for place in batch.places if not place.request.answer.done()], batch.again)

    def _give_back(self, batch: _Batch) -> None:
        """Run a failed batch's rows once more, each tenant's apart from the others': one of them may be the cause."""
        log.error("batch_failed", rows=len(batch.places), again=batch.again)
        if batch.again:
            for place in batch.places:
                place.request.fail(EngineFailed("The engine failed."))
            return

        def tenant(place: _Place) -> str:
            return place.request.tenant

        for _, places in groupby(sorted(batch.places, key=tenant), key=tenant):
            self._failed.append(_Batch(list(places), again=True))
        self._wake.set()

    def _observe(self, tokens: int, seconds: float) -> None:
        self._metrics.batch_seconds.observe(seconds)
        self._metrics.batch_tokens.observe(tokens)
        rate = tokens / seconds * max(1, len(self._running))
        self._tokens_per_second += _SMOOTHING * (rate - self._tokens_per_second)
