"""Adapters lie in memory that engines share: written once, read in place, given back when nobody uses them."""

import pytest
import torch

from core.catalogue import DEFAULT_BASE_MODEL, Task
from inference.pool.adapter_blocks import place, read
from inference.pool.adapters import parse
from inference.pool.arena import Arena, ArenaFull, Block, map_arena
from inference.pool.base import LoadedBase, load_base
from inference.pool.engine import Engine, Row
from tests.inference.adapter_files import ALL_TARGETS, Reference

PAGE = 4096


@pytest.fixture(scope="module")
def base() -> LoadedBase:
    return load_base(DEFAULT_BASE_MODEL)


def test_a_block_that_nobody_holds_leaves_a_gap_that_joins_its_neighbours() -> None:
    arena = Arena(4 * PAGE)
    blocks: list[Block | None] = [arena.allocate(PAGE - 1) for _ in range(4)]
    assert arena.used_bytes == 4 * PAGE
    with pytest.raises(ArenaFull):
        arena.allocate(1)
    for index in (0, 2, 1):
        blocks[index] = None
    assert arena.used_bytes == PAGE
    assert arena.allocate(3 * PAGE).offset == 0


def test_a_freed_blocks_bytes_are_gone() -> None:
    arena = Arena(PAGE)
    reader = map_arena(arena.descriptor)
    block: Block | None = arena.allocate(PAGE)
    assert block is not None
    block.view[:6] = b"secret"
    assert bytes(reader[:6]) == b"secret"
    block = None
    assert bytes(reader) == bytes(PAGE)


@pytest.mark.parametrize(
    "reference",
    [
        Reference(["a", "b"], seed=1),
        Reference(["O", "B-X"], seed=2, task=Task.TAGGING, targets=ALL_TARGETS),
        Reference(["a", "b"], seed=3, task=Task.MULTI_LABEL, method="full"),
    ],
    ids=["low rank", "low rank everywhere", "full"],
)
def test_what_an_engine_reads_is_what_was_written(base: LoadedBase, reference: Reference) -> None:
    arena = Arena(200 << 20)
    arena.allocate(1)
    adapter = parse(reference.file(), {base.id: base})
    placed = place(adapter, arena)
    again = read(map_arena(arena.descriptor), placed.block.offset, {base.id: base})
    assert (again.digest, again.task, again.labels, again.max_length) == (
        adapter.digest, adapter.task, adapter.labels, adapter.max_length,
    )  # fmt: skip
    ids = base.tokenise(["Where is my order?"])[0]
    reads = [1, 2] if reference.task is Task.TAGGING else None
    [expected], [result] = (Engine().run([Row(ids, weights, reads)]) for weights in (adapter, again))
    assert expected is not None
    assert result is not None
    assert torch.equal(expected, result)


def test_an_adapter_takes_little_more_than_its_weights(base: LoadedBase) -> None:
    file = Reference(["a", "b"]).file()
    placed = place(parse(file, {base.id: base}), Arena(1 << 22))
    assert placed.size_bytes < len(file) + 2 * PAGE
