"""Between requests and engines: a batch that fails is tried once more by tenant, and nothing of a request is kept."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
import torch
from torch import Tensor

from core.catalogue import DEFAULT_BASE_MODEL
from inference.pool.base import LoadedBase, load_base
from inference.pool.dispatcher import Dispatcher, EngineFailed
from inference.pool.engine_client import EngineDied
from inference.pool.metrics import PoolMetrics
from inference.pool.wire import QueuedRow

FATAL = 666


@pytest.fixture(scope="module")
def base() -> LoadedBase:
    return load_base(DEFAULT_BASE_MODEL)


class Engine:
    """Answers a row with its first token; a row of FATAL ends it."""

    pid = 0
    started = 0

    @classmethod
    async def start(cls) -> "Engine":
        cls.started += 1
        return cls()

    async def run(self, rows: Sequence[QueuedRow]) -> list[Tensor | None]:
        await asyncio.sleep(0)
        if any(FATAL in row.ids for row in rows):
            raise EngineDied("It has ended.")
        return [torch.tensor([float(row.ids[0])]) for row in rows]

    async def stop(self) -> None:
        pass


async def never() -> None:
    await asyncio.Event().wait()


def dispatch(use: Callable[[Dispatcher], Awaitable[None]], engines: int = 2) -> None:
    """`use` a dispatcher that runs."""

    async def run() -> None:
        dispatcher = Dispatcher(
            Engine.start,
            engines=engines,
            batch_tokens=512,
            tenant_queue_tokens=10_000,
            queue_tokens=10_000,
            metrics=PoolMetrics(),
        )
        waiting = asyncio.ensure_future(use(dispatcher))
        # Queued before an engine runs, so that what is asked at once is one batch.
        await asyncio.sleep(0)
        async with dispatcher.running():
            await waiting

    asyncio.run(run())


async def ask(
    dispatcher: Dispatcher, base: LoadedBase, tenant: str, *texts: list[int]
) -> list[Tensor | None]:
    rows = [QueuedRow(ids, base) for ids in texts]
    return await dispatcher.run_rows(tenant, rows, deadline=time.time() + 60, weight=1, gone=never)


@pytest.mark.parametrize("engines", [1, 2])
def test_a_batch_that_ends_engines_twice_is_refused_to_its_tenant_alone(
    base: LoadedBase, engines: int
) -> None:
    async def use(dispatcher: Dispatcher) -> None:
        started = Engine.started
        good, bad, other = await asyncio.gather(
            ask(dispatcher, base, "good", [1], [2]),
            ask(dispatcher, base, "bad", [3], [FATAL]),
            ask(dispatcher, base, "other", [4]),
            return_exceptions=True,
        )
        assert isinstance(bad, EngineFailed)
        assert [float(result) for result in (*good, *other)] == [1, 2, 4]  # type: ignore[misc]
        assert await ask(dispatcher, base, "bad", [5]) == [torch.tensor([5.0])]
        assert Engine.started <= started + engines + 2

    dispatch(use, engines)


def test_an_answered_request_leaves_nothing_in_the_dispatcher(base: LoadedBase) -> None:
    async def use(dispatcher: Dispatcher) -> None:
        await ask(dispatcher, base, "t", [1, 2, 3], [4, 5, 6])
        with pytest.raises(EngineFailed):
            await ask(dispatcher, base, "t", [FATAL])
        # What comes next finds the queue empty and waits: the state in which a pool may stay for hours.
        await asyncio.sleep(0)
        gc.collect()
        assert not [item for item in gc.get_objects() if type(item) is QueuedRow]

    dispatch(use)
