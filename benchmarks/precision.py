"""The pool's engines with products of bfloat16 (POOL_PRECISION=bf16) against themselves with fp32, on one core.

Both run the same batches, and write answers to the same prompts, in turns. Left out where the processor has no products of
bfloat16. What counts is the thread's own time, so that a busy machine hurts neither more than the other.
"""

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.chat_models import OurChat, load_peft, make_prompts
from benchmarks.encoder_models import BATCH, RANK, PeftTenants, make_batches
from benchmarks.results import Row
from core.catalogue import DEFAULT_BASE_MODEL
from inference.pool.adapters import parse
from inference.pool.base import load_base
from inference.pool.engine import Engine
from inference.pool.engine import Row as EngineRow
from inference.pool.linear import computes
from inference.pool.precision import Precision

TENANTS = 64
ROWS = 8


def measure(quick: bool) -> Iterator[Row]:
    """Texts and tokens a second, and how far apart the results are."""
    if not computes(Precision.BF16):
        print("precision is left out: this processor has no products of bfloat16.", flush=True)
        return
    torch.set_num_threads(1)
    yield _encoder(3 if quick else 9)
    yield _chat(*((16, 2) if quick else (64, 5)))


def _encoder(rounds: int) -> Row:
    peft = PeftTenants.make(TENANTS)
    [batch] = make_batches(TENANTS, 1)
    engine = Engine()
    engine.enter_thread()

    def classify(precision: Precision) -> Callable[[], Tensor]:
        bases = {DEFAULT_BASE_MODEL: load_base(DEFAULT_BASE_MODEL, precision)}
        adapters = [parse(peft.adapter_file(tenant), bases) for tenant in range(TENANTS)]
        rows = [EngineRow(ids, adapters[tenant]) for tenant, ids in batch]
        return lambda: torch.stack([scores for scores in engine.run(rows) if scores is not None])

    rounded, exact = classify(Precision.BF16), classify(Precision.FP32)
    apart = float((rounded() - exact()).abs().max())
    setting = (
        f"ours with bf16, peer with fp32; adapters of {TENANTS} tenants, rank {RANK}, a batch of {BATCH} texts of 8 to 64 "
        f"tokens, one thread, median of {rounds}; probabilities at most {apart:.0e} apart"
    )
    return _row(f"encoder/{TENANTS}/bf16", rounded, exact, rounds, BATCH, "texts/s", setting)


def _chat(tokens: int, rounds: int) -> Row:
    peft, prompts = load_peft(ROWS), make_prompts(ROWS)
    rounded, exact = (
        OurChat(peft, ROWS, tokens, precision) for precision in (Precision.BF16, Precision.FP32)
    )
    apart = sum(a != b for a, b in zip(rounded.answer(prompts), exact.answer(prompts), strict=True))
    setting = (
        f"ours with bf16, peer with fp32; SmolLM2-135M, {ROWS} rows of {tokens} tokens with adapters of their own, one "
        f"thread, median of {rounds}; {apart} answers differ"
    )
    return _row(
        f"chat/{ROWS}/bf16",
        lambda: rounded.answer(prompts),
        lambda: exact.answer(prompts),
        rounds,
        ROWS * tokens,
        "tokens/s",
        setting,
    )


def _row(
    name: str,
    rounded: Callable[[], object],
    exact: Callable[[], object],
    rounds: int,
    count: int,
    unit: str,
    setting: str,
) -> Row:
    """How much of `count` both do in a second, in rounds that take turns."""
    times = [(_seconds(rounded), _seconds(exact)) for _ in range(rounds)]
    ours, peer = (count / statistics.median(column) for column in zip(*times, strict=True))
    return Row(name, ours, peer, statistics.median(b / a for a, b in times), unit, setting)


def _seconds(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started
