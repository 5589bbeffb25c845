"""Between requests and engine: queues rows fairly, runs them in batches on one thread, hands the results
back."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog
from torch import Tensor

from inference.pool.engine import Engine, Row
from inference.pool.metrics import PoolMetrics
from inference.pool.scheduler import FairScheduler, Work

log = structlog.get_logger(__name__)

_FIRST_GUESS_TOKENS_PER_SECOND = 2000.0
_SMOOTHING = 0.2
_LONGEST_RETRY_SECONDS = 30


class DeadlinePassed(Exception):
    """The request waited for longer than its answer was of use."""


class EngineFailed(Exception):
    """The engine could not run the batch that held the request."""


@dataclass(slots=True)
class _Request:
    """A request whose rows are queued: the future resolves once every row has its result."""

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

    row: Row
    request: _Request
    index: int
    of: int


class Dispatcher:
    """Owns the scheduler and the engine's thread. Every method runs on the event loop."""

    def __init__(
        self,
        engine: Engine,
        *,
        batch_tokens: int,
        tenant_queue_tokens: int,
        queue_tokens: int,
        metrics: PoolMetrics,
    ) -> None:
        self._engine = engine
        self._batch_tokens = batch_tokens
        self._metrics = metrics
        self._scheduler: FairScheduler[_Place] = FairScheduler(
            tenant_limit=tenant_queue_tokens, total_limit=queue_tokens
        )
        self._wake = asyncio.Event()
        # One thread: two batches at once would only take turns on the same cores.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine", initializer=engine.enter_thread)
        self._runner: asyncio.Task[None] | None = None
        self._tokens_per_second = _FIRST_GUESS_TOKENS_PER_SECOND

    async def run_rows(
        self, tenant: str, rows: Sequence[Row], *, deadline: float, weight: int
    ) -> list[Tensor | None]:
        """The engine's result of each row, in order; None where its adapter gave a number that is not finite.

        `deadline` is in epoch seconds. Raises TenantQueueFull or PoolQueueFull, DeadlinePassed,
        EngineFailed.
        """
        request = _Request(asyncio.get_running_loop().create_future())
        work = [
            Work(len(row.ids), deadline, _Place(row, request, index, len(rows)))
            for index, row in enumerate(rows)
        ]
        self._scheduler.offer(tenant, work, weight=weight)
        self._wake.set()
        return await request.answer

    def retry_after(self, queued_tokens: int) -> int:
        """Whole seconds after which a queue of so many tokens should have room."""
        return max(1, min(_LONGEST_RETRY_SECONDS, math.ceil(queued_tokens / self._tokens_per_second)))

    def queued_tenants(self) -> dict[str, int]:
        return self._scheduler.queued_tenants()

    @property
    def queued_tokens(self) -> int:
        return self._scheduler.queued_tokens

    @property
    def is_running(self) -> bool:
        return self._runner is not None and not self._runner.done()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Batches run inside this context."""
        self._runner = asyncio.create_task(self._run())
        yield
        self._runner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._runner

    async def _run(self) -> None:
        try:
            while True:
                self._wake.clear()
                if not self._scheduler.queued_tokens:
                    await self._wake.wait()
                await self._run_batch()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run_batch(self) -> None:
        batch = self._scheduler.take(self._batch_tokens, time.time())
        for late in batch.expired:
            late.payload.request.fail(DeadlinePassed("The request waited for too long."))
        # A request that is answered already (one of its rows was late, its client has gone) needs no more
        # rows.
        places = [work.payload for work in batch.work if not work.payload.request.answer.done()]
        if not places:
            return
        started = time.perf_counter()
        try:
            results = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._engine.run, [place.row for place in places]
            )
        except Exception:
            # Adapters are checked when they load, so this is the engine's fault and every row's misfortune.
            log.exception("batch_failed", rows=len(places))
            for place in places:
                place.request.fail(EngineFailed("The engine failed."))
            return
        for place, result in zip(places, results, strict=True):
            place.request.put(place.index, result, place.of)
        self._observe(sum(len(place.row.ids) for place in places), time.perf_counter() - started)

    def _observe(self, tokens: int, seconds: float) -> None:
        self._metrics.batch_seconds.observe(seconds)
        self._metrics.batch_tokens.observe(tokens)
        self._tokens_per_second += _SMOOTHING * (tokens / seconds - self._tokens_per_second)
