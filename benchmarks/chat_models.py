"""What the chat benchmarks run: tenants' random adapters, as PEFT has them and as the pool has them, and prompts."""

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save
from transformers import LlamaForCausalLM
from transformers.utils import logging as transformers_logging

from benchmarks.encoder_models import adapter_name
from core.catalogue import DEFAULT_CHAT_MODEL, get_base_model
from inference.pool.adapter_files import open_file
from inference.pool.chat.adapters import ChatAdapter, lay_out
from inference.pool.chat.base import ChatBase, load_chat_base
from inference.pool.chat.engine import ChatEngine, ChatLimits
from inference.pool.chat.requests import ChatRequest, Delta
from inference.pool.chat.sampling import Sampling
from inference.pool.precision import Precision
from training.recipe.chat.decoder import LORA_LAYERS

RANK = 16
ADAPTED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

Prompt = list[int]


def make_prompts(count: int) -> list[Prompt]:
    """So many prompts of 16 to 64 random tokens."""
    choose = random.Random(0)
    return [[choose.randrange(3, 49152) for _ in range(choose.randint(16, 64))] for _ in range(count)]


def load_peft(adapters: int) -> PeftModel:
    """The base with random adapters on the maps that fine-tuning changes; no answer ends early."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    model = LlamaForCausalLM.from_pretrained(
        str(get_base_model(DEFAULT_CHAT_MODEL).verify()), dtype=torch.float32
    )
    model.generation_config.eos_token_id = None
    layers = range(model.config.num_hidden_layers - LORA_LAYERS, model.config.num_hidden_layers)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=ADAPTED, layers_to_transform=list(layers))
    adapted = get_peft_model(model, config, adapter_name=adapter_name(0))
    for number in range(1, adapters):
        adapted.add_adapter(adapter_name(number), config)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
    return adapted.eval()


class OurChat:
    """The chat engine with the adapters of PEFT's model. Row i has adapter i; no answer ends before its tokens."""

    def __init__(
        self, peft: PeftModel, adapters: int, tokens: int, precision: Precision = Precision.FP32
    ) -> None:
        self._tokens = tokens
        self.base = load_chat_base(DEFAULT_CHAT_MODEL, precision)
        self.base.decoder.config = replace(self.base.decoder.config, end_ids=frozenset())
        self._adapters = [_adapter(self.base, peft, number) for number in range(adapters)]

    @property
    def adapter_bytes(self) -> int:
        """Memory of one adapter."""
        return self._adapters[0].size_bytes

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        """Answers to all prompts, asked at once, greedily."""
        engine = ChatEngine(self.base, ChatLimits(rows=2 * len(prompts), kv_tokens=1 << 16))
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

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens that another has written say."""
        return b"".join(self.base.token_bytes[token] for token in tokens).decode(errors="replace")


def _adapter(base: ChatBase, model: PeftModel, number: int) -> ChatAdapter:
    """One of the model's adapters, as the engine holds it."""
    suffix = f".{adapter_name(number)}.weight"
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
