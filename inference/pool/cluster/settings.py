"""What a pool over several machines needs to know besides PoolSettings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from inference.pool.settings import PoolConfigError


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Each field's variable is POOL_CLUSTER_ and its name, upper-cased.

    `address` is a Ray cluster's (`host:6379`); empty: one of our own on this machine. There are `min_replicas` to
    `max_replicas` engines, each on `cpus` cores. Tenants are dealt to `shards`: more spread the load more evenly, and
    make smaller batches.
    """

    address: str
    min_replicas: int
    max_replicas: int
    cpus: float
    shards: int

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "ClusterSettings":
        """Read and check the environment. Raises PoolConfigError naming every wrong variable at once."""
        problems: list[str] = []

        def positive(name: str, default: float) -> float:
            value = environ.get(f"POOL_CLUSTER_{name}") or str(default)
            try:
                number = float(value)
            except ValueError:
                number = 0.0
            if not 0 < number < float("inf"):
                problems.append(f"  POOL_CLUSTER_{name}: {value!r} is not a positive number")
                return default
            return number

        settings = cls(
            address=environ.get("POOL_CLUSTER_ADDRESS") or "",
            min_replicas=int(positive("MIN_REPLICAS", 1)),
            max_replicas=int(positive("MAX_REPLICAS", 8)),
            cpus=positive("CPUS", 1),
            shards=int(positive("SHARDS", 16)),
        )
        if not 1 <= settings.min_replicas <= settings.max_replicas or settings.shards < 1:
            problems.append("  POOL_CLUSTER_MIN_REPLICAS: not between 1 and POOL_CLUSTER_MAX_REPLICAS")
        if problems:
            raise PoolConfigError("Set these environment variables:\n" + "\n".join(problems))
        return settings
