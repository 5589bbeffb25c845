"""Chat models as transformers and PEFT compute them, alone: what the pool's chat engine has to agree with."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from core.catalogue import DEFAULT_CHAT_MODEL, WEIGHTS_FILE, get_base_model
from inference.pool.adapter_files import open_file
from inference.pool.chat.adapters import ChatAdapter, lay_out
from inference.pool.chat.base import ChatBase
from inference.pool.precision import Precision

REAL = get_base_model(DEFAULT_CHAT_MODEL)
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_TARGETS = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
TINY_LENGTH = 256


def tiny_folder(folder: Path) -> Path:
    """A random Llama of two layers in `folder`, with the real base's tokenizer."""
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=TINY_LENGTH,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(REAL.folder() / name, folder / name)
    assert (folder / WEIGHTS_FILE).exists()
    return folder


def tiny_base(folder: Path, precision: Precision = Precision.FP32) -> ChatBase:
    return ChatBase.load(
        folder, base_model_id="tiny", digest="0" * 64, max_length=TINY_LENGTH, precision=precision
    )


class ChatReference:
    """A base with one random adapter, or with none where there are no targets."""

    def __init__(
        self,
        folder: Path,
        *,
        base_id: str = "tiny",
        base_digest: str = "0" * 64,
        targets: Sequence[str] = (),
        layers: Sequence[int] | None = None,
        rank: int = 8,
        seed: int = 0,
        strength: float = 0.1,
    ) -> None:
        self.rank, self.alpha = rank, 2 * rank
        self._base = (base_id, base_digest)
        self.model: Any = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.peft: PeftModel | None = None
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        if targets:
            config = LoraConfig(
                r=rank,
                lora_alpha=self.alpha,
                target_modules=list(targets),
                layers_to_transform=None if layers is None else list(layers),
            )
            # PEFT draws lora_A from torch's own generator, which stands wherever earlier tests left it.
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.peft = get_peft_model(self.model, config).eval()
                for name, parameter in self.model.named_parameters():
                    if "lora_B" in name:
                        parameter.data.copy_(torch.randn_like(parameter) * strength)

    def greedy(self, prompt: Sequence[int], max_tokens: int | None) -> list[int]:
        """The tokens that transformers' generate writes after `prompt`."""
        model = self.peft or self.model
        ids = torch.tensor([list(prompt)])
        written = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False
        )
        return list(written[0, len(prompt) :].tolist())

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def tensors(self) -> dict[str, Tensor]:
        return {
            name.replace(".default", ""): parameter.detach()
            for name, parameter in self.model.named_parameters()
            if "lora_" in name
        }

    def file(self, tensors: dict[str, Tensor] | None = None, **metadata: str) -> bytes:
        """The adapter's file as training writes it, with `tensors` and `metadata` laid over its own."""
        own = {
            "format": "adaptary-adapter/1",
            "task": "chat",
            "base_model": self._base[0],
            "base_digest": self._base[1],
            "method": "lora",
            "rank": str(self.rank),
            "alpha": str(self.alpha),
            "labels": json.dumps([]),
            "max_length": "2048",
        }
        return save({**self.tensors(), **(tensors or {})}, metadata={**own, **metadata})

    def adapter(self, base: ChatBase, tensors: dict[str, Tensor] | None = None) -> ChatAdapter | None:
        """The adapter as the engine holds it; None where there is none."""
        return lay_out(open_file(self.file(tensors)), base) if self.peft else None

    def broken(self, base: ChatBase, value: float = float("nan")) -> ChatAdapter:
        """The adapter with one tensor full of `value`."""
        name = next(name for name in self.tensors() if "lora_B" in name)
        adapter = self.adapter(base, {name: torch.full_like(self.tensors()[name], value)})
        assert adapter is not None
        return adapter
