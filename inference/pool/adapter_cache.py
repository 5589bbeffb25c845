"""Which adapters are in memory: the least recently used leave when their bytes pass the budget."""

from collections import OrderedDict
from typing import Protocol

from core.catalogue import Task
from inference.pool.adapter_files import InvalidAdapter


class Resident(Protocol):
    """An adapter in memory, of whatever task. `base_id` is its base model's, `digest` the SHA-256 of its file."""

    @property
    def digest(self) -> str: ...
    @property
    def task(self) -> Task: ...
    @property
    def base_id(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...


class AdapterCache:
    """Adapters in memory by tenant and digest.

    Keyed by tenant too, so that no tenant can learn from an answer's speed what another one has loaded.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.size_bytes = 0
        self._adapters: OrderedDict[tuple[str, str], Resident] = OrderedDict()

    def find(self, tenant: str, digest: str) -> Resident | None:
        adapter = self._adapters.get((tenant, digest))
        if adapter is not None:
            self._adapters.move_to_end((tenant, digest))
        return adapter

    def add(self, tenant: str, adapter: Resident) -> None:
        """Keep `adapter` and let the least recently used go. Work that holds one that goes still runs.

        Raises InvalidAdapter for an adapter that is larger than the whole budget.
        """
        if adapter.size_bytes > self.budget_bytes:
            raise InvalidAdapter(
                f"The adapter takes {adapter.size_bytes} bytes and the pool keeps {self.budget_bytes}: "
                "raise POOL_ADAPTER_BYTES."
            )
        previous = self._adapters.pop((tenant, adapter.digest), None)
        self.size_bytes += adapter.size_bytes - (previous.size_bytes if previous else 0)
        self._adapters[tenant, adapter.digest] = adapter
        while self.size_bytes > self.budget_bytes:
            _, oldest = self._adapters.popitem(last=False)
            self.size_bytes -= oldest.size_bytes

    def __len__(self) -> int:
        return len(self._adapters)

    def resident(self) -> list[tuple[str, Resident]]:
        """Tenants and their adapters, least recently used first."""
        return [(tenant, adapter) for (tenant, _), adapter in self._adapters.items()]
