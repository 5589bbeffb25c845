"""The chat engine against transformers and PEFT: answers of several tenants' adapters on one base, on one core.

All write the same answers to the same prompts, greedily, each row with an adapter of its own as fine-tuning makes them.
Transformers writes them one at a time, its adapter switched on; PEFT's mixed batch runs them together, padded, with
`adapter_names`, as its documentation says. Rounds take turns, so that a noisy machine hurts all alike.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save
from transformers import LlamaForCausalLM
from transformers.utils import logging as transformers_logging

from benchmarks.results import Row
from core.catalogue import DEFAULT_CHAT_MODEL, get_base_model
from inference.pool.adapter_files import open_file
from inference.pool.chat.adapters import ChatAdapter, lay_out
from inference.pool.chat.base import ChatBase, load_chat_base
from inference.pool.chat.engine import ChatEngine, ChatLimits
from inference.pool.chat.requests import ChatRequest, Delta
from inference.pool.chat.sampling import Sampling
from training.recipe.chat.decoder import LORA_LAYERS

SIZES = (1, 8, 32)
RANK = 16
ALONE = 2
"""Answers that are written one at a time: each takes as long as the next."""

Prompt = list[int]


def measure(quick: bool) -> Iterator[Row]:
    """Tokens a second that are written, prompts read in the same time, at several numbers of rows."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    tokens, rounds = (16, 2) if quick else (64, 5)
    contest = _Contest(max(SIZES), tokens)
    for size in SIZES:
        prompts = _prompts(size)
        apart = sum(a != b for a, b in zip(contest.ours(prompts), contest.mixed(prompts), strict=True))
        times = _race({"ours": contest.ours, "mixed": contest.mixed, "alone": contest.alone}, prompts, rounds)
        ours = size * tokens / times["ours"]
        setting = (
            f"SmolLM2-135M, {size} rows of {tokens} tokens after prompts of 16 to 64, an adapter each: rank {RANK}, all "
            f"maps of the top {LORA_LAYERS} layers; one thread, median of {rounds}; {apart} answers differ"
        )
        for name, peer in (
            ("one-at-a-time", min(size, ALONE) * tokens / times["alone"]),
            ("peft-mixed", size * tokens / times["mixed"]),
        ):
            yield Row(f"chat/{size}/{name}", ours, peer, ours / peer, "tokens/s", setting)


class _Contest:
    """The same adapters in our engine and in PEFT's model. Row i has adapter i; no answer ends before its tokens."""

    def __init__(self, adapters: int, tokens: int) -> None:
        self._tokens = tokens
        self._peft = _peft_model(adapters)
        self._base = load_chat_base(DEFAULT_CHAT_MODEL)
        self._base.decoder.config = replace(self._base.decoder.config, end_ids=frozenset())
        self._adapters = [_adapter(self._base, self._peft, number) for number in range(adapters)]

    def ours(self, prompts: Sequence[Prompt]) -> list[str]:
        """Answers of the chat engine, all rows asked at once."""
        engine = ChatEngine(self._base, ChatLimits(rows=2 * len(prompts), kv_tokens=1 << 16))
        texts = dict.fromkeys(map(str, range(len(prompts))), "")
        for number, prompt in enumerate(prompts):
            engine.add(
                ChatRequest(
                    id=str(number),
                    tenant=f"tenant {number}",
                    prompt=tuple(prompt),
                    deadline=float("inf"),
                    adapter=self._adapters[number],
                    max_tokens=self._tokens,
                    sampling=Sampling(temperature=0),
                )
            )
        while engine.busy:
            for event in engine.step(0):
                if isinstance(event, Delta):
                    texts[event.id] += event.text
        return list(texts.values())

    def mixed(self, prompts: Sequence[Prompt]) -> list[str]:
        """Answers of one padded batch that mixes adapters."""
        return self._generate(prompts, adapter_names=[str(number) for number in range(len(prompts))])

    def alone(self, prompts: Sequence[Prompt]) -> list[str]:
        """Answers of the first rows, one after the other."""
        texts = []
        for number, prompt in enumerate(prompts[:ALONE]):
            self._peft.set_adapter(str(number))
            texts += self._generate([prompt])
        return texts

    def _generate(self, prompts: Sequence[Prompt], **options: Any) -> list[str]:
        longest = max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        with torch.inference_mode():
            written = self._peft.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=self._tokens, do_sample=False, **options
            )
        return [self._text(row) for row in written[:, longest:].tolist()]

    def _text(self, tokens: Sequence[int]) -> str:
        return b"".join(self._base.token_bytes[token] for token in tokens).decode(errors="replace")


def _race(
    contenders: dict[str, Callable[[Sequence[Prompt]], list[str]]], prompts: Sequence[Prompt], rounds: int
) -> dict[str, float]:
    """Each contender's median seconds, in rounds that take turns.

    Of the processor: all use one thread, and what else runs on the machine is no matter of theirs.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, answer in contenders.items():
            started = time.process_time()
            answer(prompts)
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _prompts(count: int) -> list[Prompt]:
    choose = random.Random(0)
    return [[choose.randrange(3, 49152) for _ in range(choose.randint(16, 64))] for _ in range(count)]


def _peft_model(adapters: int) -> PeftModel:
    """The base with random adapters on the maps that fine-tuning changes."""
    model = LlamaForCausalLM.from_pretrained(
        str(get_base_model(DEFAULT_CHAT_MODEL).verify()), dtype=torch.float32
    )
    model.generation_config.eos_token_id = None
    layers = range(model.config.num_hidden_layers - LORA_LAYERS, model.config.num_hidden_layers)
    config = LoraConfig(
        r=RANK,
        lora_alpha=2 * RANK,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        layers_to_transform=list(layers),
    )
    adapted = get_peft_model(model, config, adapter_name="0")
    for number in range(1, adapters):
        adapted.add_adapter(str(number), config)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
    return adapted.eval()


def _adapter(base: ChatBase, model: PeftModel, number: int) -> ChatAdapter:
    """One of the model's adapters, as the engine holds it."""
    suffix = f".{number}.weight"
    tensors = {
        name.removeprefix("base_model.model.").replace(suffix, ".weight"): parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if "lora_" in name and name.endswith(suffix)
    }
    metadata = {
        "format": "adaptary-adapter/1",
        "task": "chat",
        "base_model": base.id,
        "base_digest": base.digest,
        "method": "lora",
        "rank": str(RANK),
        "alpha": str(2 * RANK),
        "labels": "[]",
        "max_length": str(base.max_length),
    }
    return lay_out(open_file(save(tensors, metadata=metadata)), base)
