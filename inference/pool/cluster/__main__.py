"""`python -m inference.pool.cluster`: the pool's front process, with its engines on a Ray cluster's machines.

The process is started as `python -m inference.pool` is. Needs requirements-ray.txt.
"""

import logging
import os
import sys
from functools import partial
from typing import Any

# Before Ray is imported: it would tell its makers about us otherwise.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray import serve as ray_serve
from ray.serve.config import AutoscalingConfig
from ray.serve.handle import DeploymentHandle

from core.catalogue import BaseModelUnavailable, UnknownBaseModel
from inference.pool.__main__ import serve
from inference.pool.arena import Arena
from inference.pool.cluster.engine import ClusterEngine
from inference.pool.cluster.replica import EngineReplica
from inference.pool.cluster.settings import ClusterSettings
from inference.pool.dispatcher import Dispatcher
from inference.pool.encoder_weights import UnsupportedModel
from inference.pool.metrics import PoolMetrics
from inference.pool.settings import PoolConfigError, PoolSettings
from inference.pool.shards import ShardedDispatcher

APPLICATION = "adaptary-pool"
_BATCHES_OF_A_REPLICA = 2
"""One that is computed, and the next one, so that the engine does not wait for the network."""

_TARGET_BATCHES = 1.5
"""More than so many batches for each replica call for another replica."""

# Replicas need none of it, and everything that Ray starts inherits the environment.
_SECRETS = ("POOL_TICKET_KEY",)


def main() -> None:
    """Join or start the cluster, have the engines run on it, and serve until SIGTERM or SIGINT."""
    try:
        settings, cluster = PoolSettings.from_environment(), ClusterSettings.from_environment()
        for name in _SECRETS:
            os.environ.pop(name, None)
        ray.init(
            address=cluster.address or "local",
            include_dashboard=False if not cluster.address else None,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
        serve(settings, partial(on_the_cluster, cluster))
    except (PoolConfigError, UnknownBaseModel, BaseModelUnavailable, UnsupportedModel) as error:
        sys.exit(str(error))
    finally:
        ray.shutdown()


def on_the_cluster(
    cluster: ClusterSettings,
    settings: PoolSettings,
    encoders: tuple[str, ...],
    _arena: Arena,
    metrics: PoolMetrics,
) -> ShardedDispatcher:
    """Dispatchers, one for each shard of the tenants, whose engines are replicas on the cluster's machines."""
    deployment = deploy(cluster, settings, encoders)
    return ShardedDispatcher(
        [
            Dispatcher(
                partial(ClusterEngine.start, deployment, shard),
                engines=1,
                batch_tokens=settings.batch_tokens,
                tenant_queue_tokens=settings.tenant_queue_tokens,
                queue_tokens=max(1, settings.queue_tokens // cluster.shards),
                metrics=metrics,
            )
            for shard in range(cluster.shards)
        ]
    )


def deploy(
    cluster: ClusterSettings, settings: PoolSettings, encoders: tuple[str, ...]
) -> DeploymentHandle[Any]:
    """Have the cluster run the engines, as many as the load asks for; returns what calls them."""
    deployment = ray_serve.deployment(
        name="engine",
        ray_actor_options={
            "num_cpus": cluster.cpus,
            "runtime_env": {"env_vars": {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}},
        },
        max_ongoing_requests=_BATCHES_OF_A_REPLICA,
        health_check_period_s=2,
        health_check_timeout_s=5,
        autoscaling_config=AutoscalingConfig(
            min_replicas=cluster.min_replicas,
            max_replicas=cluster.max_replicas,
            target_ongoing_requests=_TARGET_BATCHES,
        ),
    )(EngineReplica)
    ray_serve.start(proxy_location="Disabled")
    application = deployment.bind(encoders, settings.precision, settings.threads, settings.adapter_bytes)
    return ray_serve.run(application, name=APPLICATION, route_prefix=None)


if __name__ == "__main__":
    main()
