"""What runs on the cluster's machines: an engine, and copies of the adapters that it has been asked for."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import structlog
from ray import serve

from inference.pool.base import load_base
from inference.pool.cluster.blocks import BlockCache
from inference.pool.engine import Engine
from inference.pool.precision import Precision
from inference.pool.wire import frame, read_batch, results_frame, unframe

log = structlog.get_logger(__name__)

_SHARDS_HELD = 1024


class EngineReplica:
    """One engine. It has no ticket's key and trusts whoever can reach the cluster: the network must keep others out."""

    def __init__(
        self, bases: tuple[str, ...], precision: Precision, threads: int, adapter_bytes: int
    ) -> None:
        self._bases = {id_: load_base(id_, precision) for id_ in bases}
        self._adapters = BlockCache(adapter_bytes, self._bases)
        engine = Engine(threads)
        self._engine = engine
        # A thread of its own, so that the replica answers the cluster's questions while a batch runs.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine", initializer=engine.enter_thread)

    @serve.multiplexed(max_num_models_per_replica=_SHARDS_HELD)
    async def hold(self, shard: str) -> str:
        """Tells the cluster's router that batches of `shard` are best sent here: their adapters are in memory."""
        return shard

    async def ready(self) -> bool:
        return True

    async def run(self, batch: bytes, blocks: dict[str, bytes]) -> bytes:
        """A results frame, or `{"needs": […]}` naming the adapters to send along, or `{"error": …}`."""
        await self.hold(serve.get_multiplexed_model_id())
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, batch, blocks)

    def _run(self, batch: bytes, blocks: dict[str, bytes]) -> bytes:
        for name, block in blocks.items():
            self._adapters.add(name, block)
        header, numbers = unframe(batch)
        names = {name[0] for name in header["weights"] if not isinstance(name, str)}
        if missing := self._adapters.missing(names):
            return frame({"needs": missing})
        try:
            rows = read_batch(header, numbers, self._adapters.get, self._bases.__getitem__)
            return results_frame(self._engine.run(rows))
        except Exception as error:
            # Its message may quote a value of the batch, and is not passed on.
            log.error("batch_failed", error=type(error).__name__)
            return frame({"error": type(error).__name__})
