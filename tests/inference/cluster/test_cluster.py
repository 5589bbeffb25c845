"""The pool with its engines on a Ray cluster of two nodes, which here are two sets of processes on one machine."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("ray", reason="requirements-ray.txt is not installed")

from ray.cluster_utils import Cluster

from core.config import get_settings
from core.waiting import wait_until
from inference.gateway.app import create_api
from inference.gateway.pool_client import pool_client
from tests.inference.adapter_files import Reference
from tests.inference.conftest import Caller, new_caller, publish
from tests.inference.pool_process import PoolProcess

pytestmark = pytest.mark.xdist_group("cluster")

_TEXTS = [
    "Where is my parcel?",
    "Please send my money back, the lamp is broken.",
    "Do you have it in another colour?",
]
_CALLERS = 4
_REQUESTS = 15


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def pool(cluster: Cluster, services: object) -> Iterator[PoolProcess]:
    """The front process on the cluster, one engine on each node."""
    process = PoolProcess(
        key=get_settings().pool_ticket_key,
        module="inference.pool.cluster",
        POOL_BASE_MODELS="all-minilm-l6-v2",
        POOL_CLUSTER_ADDRESS=cluster.address,
        POOL_CLUSTER_MIN_REPLICAS="2",
        POOL_CLUSTER_MAX_REPLICAS="2",
        POOL_CLUSTER_SHARDS="4",
    )
    yield process
    process.stop()


@pytest.fixture
def callers(pool: PoolProcess, support: Reference, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Caller]]:
    """Apps of tenants who each have a model of their own; this process's settings point at the cluster's pool."""
    monkeypatch.setenv("POOL_URL", pool.url)
    get_settings.cache_clear()
    pool_client.cache_clear()
    api = create_api()
    made = [new_caller(api) for _ in range(_CALLERS)]
    for caller in made:
        publish(caller.scope, "support", support)
    yield made
    monkeypatch.undo()
    get_settings.cache_clear()
    pool_client.cache_clear()


def test_answers_over_the_cluster_are_those_of_the_reference(
    callers: list[Caller], support: Reference
) -> None:
    expected = support.scores(_TEXTS)
    for caller in callers:
        answer = caller.classify("support", _TEXTS)
        assert answer.status_code == 200
        for result, scores in zip(answer.get_json()["results"], expected, strict=True):
            found = {entry["label"]: entry["score"] for entry in result["scores"]}
            wanted = dict(zip(support.labels, scores.tolist(), strict=True))
            assert found == pytest.approx(wanted, abs=1e-5)


def test_a_node_killed_under_load_loses_no_request_and_bills_none_twice(
    callers: list[Caller], cluster: Cluster
) -> None:
    before = [len(caller.facts()) for caller in callers]
    with ThreadPoolExecutor(2 * len(callers)) as threads:
        asked = [
            (caller, threads.submit(caller.classify, "support", _TEXTS))
            for _ in range(_REQUESTS)
            for caller in callers
        ]
        assert wait_until(lambda: sum(future.done() for _, future in asked) > len(callers), 60)
        _kill_a_worker_node(cluster)
        answers = [future.result() for _, future in asked]
    assert {answer.status_code for answer in answers} == {200}
    for caller, earlier in zip(callers, before, strict=True):
        assert len(caller.facts()) - earlier == _REQUESTS
        assert len({fact.request_id for fact in caller.facts()}) == len(caller.facts())


def _kill_a_worker_node(cluster: Any) -> None:
    node = next(iter(cluster.worker_nodes))
    cluster.remove_node(node, allow_graceful=False)
