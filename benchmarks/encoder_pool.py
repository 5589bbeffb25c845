"""The pool's encoder engine against PEFT and against a single merged model, on one core.

All classify the same batches of 32 texts of 8 to 64 tokens with the same rank-8 adapters. PEFT runs them as its
documentation says, padded: mixed, with `adapter_names`, or tenant by tenant. The merged model is what one tenant alone
would deploy. Contenders take turns, and what counts is the thread's own time, so that a busy machine hurts none more
than another.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.encoder_models import (
    BATCH,
    RANK,
    Batch,
    Head,
    PeftTenants,
    adapter_name,
    load_bert,
    make_batches,
)
from benchmarks.results import Row, counted
from core.catalogue import DEFAULT_BASE_MODEL
from inference.pool.adapter_blocks import place
from inference.pool.adapter_cache import AdapterCache
from inference.pool.adapter_files import open_file
from inference.pool.adapters import Adapter, lay_out, parse
from inference.pool.arena import Arena
from inference.pool.base import LoadedBase, load_base
from inference.pool.engine import Engine
from inference.pool.engine import Row as EngineRow

TENANTS = (1, 8, 64)
RESIDENT = (1, 64, 512)

Contender = Callable[[Batch], Tensor]
"""Probabilities [texts, labels] of a batch."""


def measure(quick: bool) -> Iterable[Row]:
    """Texts a second, time to load an adapter, and memory that one takes."""
    torch.set_num_threads(1)
    peft = PeftTenants.make(max(TENANTS))
    bases = {DEFAULT_BASE_MODEL: load_base(DEFAULT_BASE_MODEL)}
    yield from _throughput(peft, bases, quick)
    yield from _loading(peft, bases, 3 if quick else 9)
    yield _memory(peft, bases)


def _throughput(peft: PeftTenants, bases: dict[str, LoadedBase], quick: bool) -> Iterator[Row]:
    rounds, count = (2, 1) if quick else (5, 4)
    contenders = _contenders(peft, bases)
    for tenants in TENANTS:
        batches = make_batches(tenants, count)
        apart = float((contenders["ours"](batches[0]) - contenders["peft-mixed"](batches[0])).abs().max())
        times = _race(contenders, batches, rounds)
        texts = BATCH * count
        setting = (
            f"adapters of {counted(tenants, 'tenant')}, rank {RANK}, batches of {BATCH} texts of 8 to 64 tokens, one thread, "
            f"median of {rounds}; outputs {apart:.0e} apart from PEFT's"
        )
        for name in contenders:
            if name == "ours":
                continue
            ratios = [peer / own for own, peer in zip(times["ours"], times[name], strict=True)]
            yield Row(
                name=f"encoder/{tenants}/{name}",
                ours=texts / statistics.median(times["ours"]),
                peer=texts / statistics.median(times[name]),
                ratio=statistics.median(ratios),
                unit="texts/s",
                setting=setting,
            )


def _contenders(peft: PeftTenants, bases: dict[str, LoadedBase]) -> dict[str, Contender]:
    engine = Engine()
    engine.enter_thread()
    merged = load_bert()
    tenants = range(len(peft.heads))
    adapters = [parse(peft.adapter_file(tenant), bases) for tenant in tenants]
    heads_alone = [parse(peft.adapter_file(tenant, low_rank=False), bases) for tenant in tenants]

    def packed(batch: Batch, weights: Sequence[Adapter]) -> Tensor:
        results = engine.run([EngineRow(ids, weights[tenant]) for tenant, ids in batch])
        return torch.stack([scores for scores in results if scores is not None])

    def mixed(batch: Batch) -> Tensor:
        names = [adapter_name(tenant) for tenant, _ in batch]
        return _padded(peft.model, batch, peft.heads, adapter_names=names)

    def split(batch: Batch) -> Tensor:
        scores: dict[int, Tensor] = {}
        order = sorted(range(len(batch)), key=lambda index: batch[index][0])
        for tenant, indexes in groupby(order, key=lambda index: batch[index][0]):
            places = list(indexes)
            peft.model.set_adapter(adapter_name(tenant))
            rows = _padded(peft.model, [batch[index] for index in places], peft.heads)
            scores |= dict(zip(places, rows, strict=True))
        return torch.stack([scores[index] for index in range(len(batch))])

    return {
        "ours": lambda batch: packed(batch, adapters),
        "peft-mixed": mixed,
        "peft-split": split,
        "merged": lambda batch: _padded(merged, [(0, ids) for _, ids in batch], peft.heads),
        "no-adapter": lambda batch: packed(batch, heads_alone),
    }


def _padded(model: Any, batch: Batch, heads: list[Head], **options: Any) -> Tensor:
    """Probabilities from transformers' model, all texts padded to the longest."""
    longest = max(len(ids) for _, ids in batch)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for _, ids in batch])
    mask = (ids != 0).long()
    with torch.inference_mode():
        output = model(input_ids=ids, attention_mask=mask, **options)
        weights = mask.unsqueeze(-1).float()
        pooled = (output.last_hidden_state * weights).sum(1) / weights.sum(1)
        logits = [F.linear(row, *heads[tenant]) for row, (tenant, _) in zip(pooled, batch, strict=True)]
        return torch.softmax(torch.stack(logits), dim=-1)


def _race(contenders: dict[str, Contender], batches: list[Batch], rounds: int) -> dict[str, list[float]]:
    """Each contender's seconds for all batches, by round."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for classify in contenders.values():
        classify(batches[0])
    for _ in range(rounds):
        for name, classify in contenders.items():
            started = time.thread_time()
            for batch in batches:
                classify(batch)
            times[name].append(time.thread_time() - started)
    return times


def _loading(peft: PeftTenants, bases: dict[str, LoadedBase], rounds: int) -> Iterator[Row]:
    """Milliseconds from an adapter's bytes to its being ready, by how many are in memory already."""
    theirs = {1: _peft_loading(PeftTenants.make(1), rounds), 64: _peft_loading(peft, rounds)}
    file = peft.adapter_file(0)
    for resident in RESIDENT:
        peer = theirs[min(resident, max(theirs))]
        ours = _our_loading(file, bases, resident, rounds)
        more = "" if resident in theirs else f" (PEFT's with {max(theirs)})"
        yield Row(
            name=f"adapter-load/{resident}/peft",
            ours=ours,
            peer=peer,
            ratio=peer / ours,
            unit="ms",
            setting=f"{counted(resident, 'adapter')} of rank {RANK} in memory already{more}, median of {rounds}",
        )


def _our_loading(file: bytes, bases: dict[str, LoadedBase], resident: int, rounds: int) -> float:
    arena, cache = Arena(1 << 30), AdapterCache(1 << 30)

    def load(tenant: str) -> None:
        cache.add(tenant, place(lay_out(open_file(file), bases), arena))

    for number in range(resident):
        load(f"resident {number}")
    return statistics.median(_milliseconds(partial(load, str(number))) for number in range(rounds))


def _peft_loading(peft: PeftTenants, rounds: int) -> float:
    folder = peft.save_one()
    times = []
    for _ in range(rounds):
        times.append(_milliseconds(lambda: peft.model.load_adapter(str(folder), adapter_name="new")))
        peft.model.delete_adapter("new")
    shutil.rmtree(folder.parent)
    return statistics.median(times)


def _memory(peft: PeftTenants, bases: dict[str, LoadedBase]) -> Row:
    ours = place(parse(peft.adapter_file(0), bases), Arena(1 << 24)).size_bytes / 1024
    tensors = [*peft.weights(0).values(), *peft.heads[0]]
    peer = sum(tensor.nbytes for tensor in tensors) / 1024
    return Row(
        name="adapter-memory/peft",
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        unit="KiB",
        setting=f"rank {RANK} on queries and values; ours once for all engines, PEFT's in each process",
    )


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
