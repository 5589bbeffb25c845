"""What a flood by one tenant does to another: the other's p99 latency alone, and beside a flood of ten times capacity.

The tenant asks with short texts, one after the other on a few connections, well below its share: alone, with nobody else
in the pool, and beside the flood, in rounds that take turns. The flood is sent at ten times the tokens a second that the
pool can run, whatever the answers are, from the cores that the pool runs on. First come, first served is had by sending
both as one tenant: a tenant's own requests run in the order in which they came.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from benchmarks.encoder_models import PeftTenants
from benchmarks.http_load import KeptConnections, Load, load
from benchmarks.pool_server import PoolServer, pool_server
from benchmarks.results import Row

FLOOD = 10
"""Times the pool's capacity."""

_FLOOD_TEXTS = 16
_FLOOD_WORDS = 60
_CONNECTIONS = 2
_PAUSE = 0.05
_QUEUE_TOKENS = 8192
_RENEW_SECONDS = 5.0
"""For so long the flood sends one request with one ticket, a sixth of its lifetime."""

_WORDS = "where is my order and when does the parcel come to my city i want a refund".split()


def measure(quick: bool) -> Iterable[Row]:
    """The tenant's p99 beside the flood, over that alone: with the scheduler, and first come, first served."""
    seconds, rounds = (4.0, 2) if quick else (10.0, 4)
    file = PeftTenants.make(1).adapter_file(0)
    with pool_server(POOL_TENANT_QUEUE_TOKENS=str(_QUEUE_TOKENS)) as pool:
        digest = pool.put("quiet", file)
        pool.put("flood", file)
        choose = random.Random(0)

        def short(tenant: str) -> Callable[[], bytes]:
            return lambda: pool.classify(tenant, digest, [_text(choose, choose.randint(6, 30))])

        rate = asyncio.run(_capacity(pool, digest, seconds / 2))
        alone, beside = Load(), Load()
        for _ in range(rounds):
            alone.add(asyncio.run(_quiet(pool, short("quiet"), seconds)))
            beside.add(asyncio.run(_beside_flood(pool, short("quiet"), digest, rate, seconds)))
        in_order = asyncio.run(_beside_flood(pool, short("flood"), digest, rate, seconds))
    setting = (
        f"{_CONNECTIONS} connections ask with a text of 8 to 32 tokens and rest for {_PAUSE} s; the flood is {FLOOD} x "
        f"{rate:.1f} requests/s of {_FLOOD_TEXTS} texts; {len(alone.seconds)} and {len(beside.seconds)} answers; "
    )
    yield _row("fairness/p99", beside, alone, setting + "ours beside the flood, peer alone, aim at least 0.5")
    refused = sum(in_order.refused.values())
    first_come = f"ours with the scheduler, peer first come, first served, which also refused {refused} of "
    if in_order.seconds:
        yield _row(
            "fairness/p99-first-come",
            beside,
            in_order,
            f"{setting}{first_come}{refused + len(in_order.seconds)}",
        )


def _row(name: str, ours: Load, peer: Load, setting: str) -> Row:
    own, other = (each.percentile(0.99) * 1000 for each in (ours, peer))
    return Row(name, own, other, other / own, "ms", setting)


def _text(choose: random.Random, words: int) -> str:
    return " ".join(choose.choice(_WORDS) for _ in range(words))


def _flood_request(pool: PoolServer, digest: str) -> bytes:
    choose = random.Random(1)
    texts = [_text(choose, choose.randint(6, _FLOOD_WORDS)) for _ in range(_FLOOD_TEXTS)]
    return pool.classify("flood", digest, texts)


async def _capacity(pool: PoolServer, digest: str, seconds: float) -> float:
    """Requests of the flood's kind that the pool answers in a second."""
    done = await load(pool.port, lambda: _flood_request(pool, digest), connections=4, seconds=seconds)
    return len(done.seconds) / seconds


async def _quiet(pool: PoolServer, request: Callable[[], bytes], seconds: float) -> Load:
    return await load(pool.port, request, connections=_CONNECTIONS, seconds=seconds, pause=_PAUSE)


async def _beside_flood(
    pool: PoolServer, request: Callable[[], bytes], digest: str, rate: float, seconds: float
) -> Load:
    flood = asyncio.create_task(_flood(pool, digest, rate * FLOOD))
    await asyncio.sleep(1)
    result = await _quiet(pool, request, seconds)
    flood.cancel()
    with suppress(asyncio.CancelledError):
        await flood
    return result


async def _flood(pool: PoolServer, digest: str, rate: float) -> None:
    """Send so many requests a second without waiting for answers.

    The sender runs on the cores that it floods, so all that it does for a request is to send it.
    """
    connections = KeptConnections(pool.port)
    async with asyncio.TaskGroup() as group:
        next_at = renew_at = time.perf_counter()
        while True:
            if next_at >= renew_at:
                request = _flood_request(pool, digest)
                renew_at += _RENEW_SECONDS
            group.create_task(connections.exchange(request))
            next_at += 1 / rate
            await asyncio.sleep(max(0.0, next_at - time.perf_counter()))
