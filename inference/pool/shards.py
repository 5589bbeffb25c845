"""Tenants dealt to shards, each with queues of its own: what keeps a tenant's adapters on few machines."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from hashlib import sha256

from torch import Tensor

from inference.pool.dispatcher import Dispatcher
from inference.pool.wire import QueuedRow


class ShardedDispatcher:
    """Dispatchers that share the tenants out among themselves, with the methods of one.

    A tenant is always the same shard's. Within a shard the dispatcher is fair between tenants; between shards the
    engines are, which take a batch of each in turn.
    """

    def __init__(self, shards: Sequence[Dispatcher]) -> None:
        self._shards = shards

    def check_open(self, tenant: str) -> None:
        """See FairScheduler.check_open."""
        self._shard(tenant).check_open(tenant)

    async def run_rows(
        self,
        tenant: str,
        rows: Sequence[QueuedRow],
        *,
        deadline: float,
        weight: int,
        gone: Callable[[], Awaitable[None]],
    ) -> list[Tensor | None]:
        """See Dispatcher.run_rows."""
        return await self._shard(tenant).run_rows(tenant, rows, deadline=deadline, weight=weight, gone=gone)

    def retry_after(self, queued_tokens: int) -> int:
        """See Dispatcher.retry_after; of the slowest shard, since nobody says whose the tokens are."""
        return max(shard.retry_after(queued_tokens) for shard in self._shards)

    def queued_tenants(self) -> dict[str, int]:
        return {tenant: tokens for shard in self._shards for tenant, tokens in shard.queued_tenants().items()}

    @property
    def queued_tokens(self) -> int:
        return sum(shard.queued_tokens for shard in self._shards)

    @property
    def running_tokens(self) -> int:
        return sum(shard.running_tokens for shard in self._shards)

    def engine_pids(self) -> list[int]:
        return [pid for shard in self._shards for pid in shard.engine_pids()]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Batches run inside this context."""
        async with contextlib.AsyncExitStack() as stack:
            for shard in self._shards:
                await stack.enter_async_context(shard.running())
            yield

    def _shard(self, tenant: str) -> Dispatcher:
        return self._shards[shard_of(tenant, len(self._shards))]


def shard_of(tenant: str, shards: int) -> int:
    """Which of so many shards is the tenant's: the same in every process."""
    return int.from_bytes(sha256(tenant.encode()).digest()[:8]) % shards
