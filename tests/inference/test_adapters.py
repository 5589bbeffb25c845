"""Adapter files are checked before they can reach a batch, and memory for them is bounded."""

import json
from dataclasses import dataclass

import pytest
import torch

from core.catalogue import DEFAULT_BASE_MODEL, Task
from inference.pool.adapter_cache import AdapterCache
from inference.pool.adapter_files import InvalidAdapter
from inference.pool.adapters import Adapter, parse
from inference.pool.base import LoadedBase, load_base
from tests.inference.adapter_files import Reference

QUERY_A = "encoder.layer.0.attention.self.query.lora_A.weight"
QUERY_B = "encoder.layer.0.attention.self.query.lora_B.weight"


@pytest.fixture(scope="module")
def bases() -> dict[str, LoadedBase]:
    return {DEFAULT_BASE_MODEL: load_base(DEFAULT_BASE_MODEL)}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(["a", "b"])


@pytest.fixture(scope="module")
def adapter(reference: Reference, bases: dict[str, LoadedBase]) -> Adapter:
    return parse(reference.file(), bases)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": "other/1"}, "format"),
        ({"task": "chat"}, "not an encoder"),
        ({"task": "poetry"}, "does not know the file's task"),
        ({"base_model": "unknown"}, "does not serve"),
        ({"base_digest": "0" * 64}, "other weights"),
        ({"labels": "a, b"}, "labels"),
        ({"labels": "[]"}, "labels"),
        ({"task": "tagging"}, "as a tagging model's"),
        ({"labels": '["a", "a"]'}, "twice"),
        ({"labels": '["a", "b", "c"]'}, "head.weight has the shape"),
        ({"max_length": "513"}, "max_length"),
        ({"max_length": "-1"}, "max_length"),
        ({"method": "prompt"}, "neither lora nor full"),
        ({"rank": "0"}, "rank"),
        ({"alpha": "much"}, "alpha"),
    ],
)
def test_wrong_metadata_is_refused(
    reference: Reference, bases: dict[str, LoadedBase], metadata: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidAdapter, match=message):
        parse(reference.file(None, **metadata), bases)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (QUERY_A, (8, 100), "shape"),
        (QUERY_A, (4, 384), "shape"),
        (QUERY_B, (384,), "shape"),
        ("head.bias", (1,), "shape"),
        ("encoder.layer.9.attention.self.query.lora_A.weight", (8, 384), "does not know"),
        ("surprise", (1,), "does not know"),
    ],
)
def test_wrong_tensors_are_refused(
    reference: Reference, bases: dict[str, LoadedBase], name: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InvalidAdapter, match=message):
        parse(reference.file({name: torch.zeros(shape)}), bases)


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04pickle", b"\xff" * 100, b"\x02\x00\x00\x00\x00\x00\x00\x00{}"]
)
def test_what_is_not_safetensors_is_refused(bases: dict[str, LoadedBase], data: bytes) -> None:
    with pytest.raises(InvalidAdapter):
        parse(data, bases)


def test_labels_keep_their_order(adapter: Adapter, reference: Reference) -> None:
    assert list(adapter.labels) == json.loads(reference.metadata()["labels"])


@dataclass(frozen=True)
class Held:
    digest: str
    size_bytes: int
    task: Task = Task.CLASSIFICATION
    base_id: str = DEFAULT_BASE_MODEL


def test_the_least_recently_used_adapter_leaves_first() -> None:
    cache = AdapterCache(100)
    for digest in "abc":
        cache.add("t", Held(digest, 30))
    assert cache.find("t", "a")
    cache.add("t", Held("d", 30))
    assert [held.digest for _, held in cache.resident()] == ["c", "a", "d"]
    assert cache.size_bytes == 90


def test_a_large_adapter_pushes_out_as_many_as_it_must() -> None:
    cache = AdapterCache(100)
    for digest in "abc":
        cache.add("t", Held(digest, 30))
    cache.add("t", Held("d", 70))
    assert [held.digest for _, held in cache.resident()] == ["c", "d"]


def test_the_same_adapter_twice_counts_once_but_each_tenant_has_its_own() -> None:
    cache = AdapterCache(100)
    cache.add("t", Held("a", 30))
    cache.add("t", Held("a", 30))
    assert cache.size_bytes == 30
    assert cache.find("u", "a") is None
    cache.add("u", Held("a", 30))
    assert cache.size_bytes == 60


def test_an_adapter_beyond_the_whole_budget_is_refused() -> None:
    cache = AdapterCache(100)
    with pytest.raises(InvalidAdapter, match="POOL_ADAPTER_BYTES"):
        cache.add("t", Held("a", 101))
    assert cache.size_bytes == 0
