"""The adapters that a replica holds: copies of the front process's blocks, the least recently used leaving first."""

from collections import OrderedDict
from collections.abc import Mapping

from inference.pool.adapter_blocks import read
from inference.pool.adapters import Adapter
from inference.pool.base import LoadedBase


class BlockCache:
    """Adapters by the name that a front process gave them. Not thread-safe."""

    def __init__(self, budget_bytes: int, bases: Mapping[str, LoadedBase]) -> None:
        self._budget = budget_bytes
        self._bases = bases
        self._held: OrderedDict[str, tuple[Adapter, int]] = OrderedDict()
        self._size = 0

    def missing(self, names: set[str]) -> list[str]:
        return sorted(names - self._held.keys())

    def add(self, name: str, block: bytes) -> None:
        """Keep an adapter's block; others leave until the budget is met, but never the one just added."""
        if name in self._held:
            return
        self._held[name] = (read(memoryview(block), 0, self._bases), len(block))
        self._size += len(block)
        while self._size > self._budget and len(self._held) > 1:
            _, (_, size) = self._held.popitem(last=False)
            self._size -= size

    def get(self, name: str) -> Adapter:
        """Raises KeyError for one that is not held."""
        self._held.move_to_end(name)
        return self._held[name][0]
