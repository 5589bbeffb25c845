"""The front process's end of the cluster: what its dispatchers take for an engine."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from torch import Tensor

from inference.pool.adapter_blocks import PlacedAdapter
from inference.pool.base import LoadedBase
from inference.pool.engine_client import BatchFailed, EngineDied
from inference.pool.wire import QueuedRow, batch_frame, read_results, unframe

_BATCH_SECONDS = 10.0
"""A batch takes a fraction of a second; what takes longer is on a machine that cannot be reached."""

_START_SECONDS = 120.0
_MOST_SENDINGS = 3
"""Another replica than the one that named what it needs may get the second sending, and need more."""

_FRONT = uuid4().hex
"""In the adapters' names, whose numbers are this process's."""


class ClusterEngine:
    """Sends one shard's batches to the cluster, whose router prefers the replicas that hold the shard's adapters."""

    def __init__(self, deployment: DeploymentHandle[Any], shard: int) -> None:
        self._deployment = deployment.options(multiplexed_model_id=str(shard))

    @classmethod
    async def start(cls, deployment: DeploymentHandle[Any], shard: int) -> "ClusterEngine":
        """Return once a replica answers. Raises EngineDied where none does."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                await deployment.ready.remote()
        except (RayError, RayServeException, TimeoutError) as error:
            raise EngineDied(f"No replica answers: {type(error).__name__}.") from None
        return cls(deployment, shard)

    @property
    def pid(self) -> int:
        return os.getpid()

    async def run(self, rows: Sequence[QueuedRow]) -> list[Tensor | None]:
        """The results of each row, in order. Raises EngineDied where the replica did, or BatchFailed."""
        adapters = {
            name_of(row.weights): row.weights for row in rows if not isinstance(row.weights, LoadedBase)
        }
        batch = batch_frame(rows, name_of)
        blocks: dict[str, bytes] = {}
        for _ in range(_MOST_SENDINGS):
            header, numbers = unframe(await self._ask(batch, blocks))
            if "error" in header:
                raise BatchFailed(f"The engine failed: {header['error']}.")
            if "needs" not in header:
                return read_results(header, numbers)
            blocks |= {name: bytes(adapters[name].block.view) for name in header["needs"]}
        raise BatchFailed("The replicas do not keep the adapters that they are sent.")

    async def stop(self) -> None:
        """Nothing ends: replicas are the cluster's."""

    async def _ask(self, batch: bytes, blocks: dict[str, bytes]) -> bytes:
        try:
            async with asyncio.timeout(_BATCH_SECONDS):
                answer: bytes = await self._deployment.run.remote(batch, blocks)
        except (RayError, RayServeException, TimeoutError) as error:
            raise EngineDied(f"A replica is gone: {type(error).__name__}.") from None
        return answer


def name_of(adapter: PlacedAdapter) -> str:
    """What replicas call the adapter: a name for one tenant's copy, so that no cache is shared between tenants."""
    return f"{_FRONT}/{adapter.block.number}"
