"""The pool's engine against PEFT: mixed batches of 64 tenants' adapters on one base, on one core.

Both classify the same batches of 32 texts of 8 to 64 tokens with the same rank-8 adapters. PEFT runs them as its
documentation says, padded, with `adapter_names`. Rounds take turns, so that a noisy machine hurts both alike.
"""

import json
import random
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save
from torch.nn import functional as F
from transformers import BertModel
from transformers.utils import logging as transformers_logging

from benchmarks.results import Row as Result
from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from inference.pool.adapters import parse
from inference.pool.base import load_base
from inference.pool.engine import Engine, Row

TENANTS = 64
BATCH = 32
BATCHES = 6
ROUNDS = 5
RANK = 8
LABELS = [f"label {number}" for number in range(8)]

Head = tuple[torch.Tensor, torch.Tensor]
"""A classifier's weight [labels, hidden] and bias [labels]."""

Batch = list[tuple[int, list[int]]]
"""Tenants and their texts' token ids."""


def measure(quick: bool) -> Iterator[Result]:  # noqa: ARG001 - it is quick
    """Texts a second of both, and how far their outputs are apart."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    peft_model, heads = _peft_model()
    bases = {DEFAULT_BASE_MODEL: load_base(DEFAULT_BASE_MODEL)}
    adapters = [parse(_adapter_file(peft_model, heads[tenant], tenant), bases) for tenant in range(TENANTS)]
    engine = Engine()
    engine.enter_thread()
    batches = _batches()

    def ours(batch: Batch) -> torch.Tensor:
        rows = [Row(ids, adapters[tenant]) for tenant, ids in batch]
        return torch.stack([scores for scores in engine.run(rows) if scores is not None])

    def peft(batch: Batch) -> torch.Tensor:
        return _classify_with_peft(peft_model, heads, batch)

    apart = max(float((ours(batch) - peft(batch)).abs().max()) for batch in batches)
    times = _race({"ours": ours, "PEFT": peft}, batches)
    texts = BATCH * BATCHES
    setting = (
        f"{TENANTS} adapters of rank {RANK}, batches of {BATCH} texts of 8 to 64 tokens, one thread, "
        f"median of {ROUNDS}; probabilities at most {apart:.1e} apart"
    )
    mine, theirs = texts / times["ours"], texts / times["PEFT"]
    yield Result("encoder/64/peft-mixed", mine, theirs, mine / theirs, "texts/s", setting)


def _race(contenders: dict[str, Callable[[Batch], torch.Tensor]], batches: list[Batch]) -> dict[str, float]:
    """Each contender's median seconds for all batches, in rounds that take turns."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, classify in contenders.items():
            started = time.perf_counter()
            for batch in batches:
                classify(batch)
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _batches() -> list[Batch]:
    choose = random.Random(0)
    return [
        [
            (
                choose.randrange(TENANTS),
                [101, *(choose.randrange(1000, 30000) for _ in range(choose.randint(6, 62))), 102],
            )
            for _ in range(BATCH)
        ]
        for _ in range(BATCHES)
    ]


def _peft_model() -> tuple[PeftModel, list[Head]]:
    """The base with every tenant's adapter in it, all weights random, and the tenants' heads."""
    base = BertModel.from_pretrained(
        str(get_base_model(DEFAULT_BASE_MODEL).folder()), add_pooling_layer=False
    )
    config = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules=["query", "value"], init_lora_weights=False
    )
    model = get_peft_model(base, config, adapter_name="0")
    for tenant in range(1, TENANTS):
        model.add_adapter(str(tenant), config)
    hidden = base.config.hidden_size
    heads = [(torch.randn(len(LABELS), hidden), torch.randn(len(LABELS))) for _ in range(TENANTS)]
    return model.eval(), heads


def _adapter_file(model: PeftModel, head: Head, tenant: int) -> bytes:
    """One tenant's weights as training writes them."""
    base = get_base_model(DEFAULT_BASE_MODEL)
    suffix = f".{tenant}.weight"
    tensors = {
        name.removeprefix("base_model.model.").replace(suffix, ".weight"): parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if name.endswith(suffix)
    }
    metadata = {
        "format": "adaptary-adapter/1",
        "task": "classification",
        "base_model": base.id,
        "base_digest": base.sha256,
        "method": "lora",
        "rank": str(RANK),
        "alpha": str(2 * RANK),
        "labels": json.dumps(LABELS),
        "max_length": str(base.max_length),
    }
    return save({**tensors, "head.weight": head[0], "head.bias": head[1]}, metadata=metadata)


def _classify_with_peft(model: PeftModel, heads: list[Head], batch: Batch) -> torch.Tensor:
    """Probabilities [texts, labels]: padded to the longest, each row with its own adapter and head."""
    longest = max(len(ids) for _, ids in batch)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for _, ids in batch])
    mask = (ids != 0).long()
    with torch.inference_mode():
        output = model(input_ids=ids, attention_mask=mask, adapter_names=[str(tenant) for tenant, _ in batch])
        weights = mask.unsqueeze(-1).float()
        pooled = (output.last_hidden_state * weights).sum(1) / weights.sum(1)
        logits = [F.linear(row, *heads[tenant]) for row, (tenant, _) in zip(pooled, batch, strict=True)]
        return torch.softmax(torch.stack(logits), dim=-1)
