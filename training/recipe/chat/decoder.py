"""The base decoder (transformers' Llama) in two parts: layers that stay frozen, layers that LoRA changes."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import LlamaForCausalLM

from core.catalogue import BaseModel
from training.recipe.chat.packing import Layout
from training.recipe.chat.vocabulary import cross_entropy
from training.recipe.device import mixed_precision
from training.recipe.encoder import alpha
from training.recipe.loading import quiet

LORA_LAYERS = 10
"""How many layers LoRA changes, counted from the top; docs/fine-tuning.md has what others gave."""

_LINEAR_MAPS = r"(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))"


class Decoder:
    """A Llama model whose layers can be run from one to another, on packed rows."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.model = model
        self.layers = len(model.model.layers)
        self.hidden_size: int = model.config.hidden_size
        self._adapted: PeftModel | None = None

    @classmethod
    def load(cls, base: BaseModel, device: torch.device) -> "Decoder":
        """The base, frozen, after checking its weights' digest. Raises BaseModelUnavailable."""
        folder = base.verify()
        with quiet():
            model = LlamaForCausalLM.from_pretrained(
                str(folder), attn_implementation="sdpa", dtype=torch.float32, local_files_only=True
            )
        return cls(model.requires_grad_(False).eval().to(device))

    @property
    def first_trained(self) -> int:
        """The lowest layer that training changes."""
        return max(0, self.layers - LORA_LAYERS)

    @property
    def vocabulary(self) -> Tensor:
        """The projection to the vocabulary, [ids, hidden]."""
        weight: Tensor = self.model.lm_head.weight
        return weight

    @property
    def vocabulary_cost(self) -> float:
        """What the projection to the vocabulary costs for one token, in the cost of a layer."""
        layer = sum(weights.numel() for weights in self.model.model.layers[0].parameters())
        return float(self.model.lm_head.weight.numel() / layer)

    def embed(self, ids: Tensor) -> Tensor:
        """What the first layer reads, [1, tokens, hidden], of `ids` [tokens]."""
        hidden: Tensor = self.model.model.embed_tokens(ids.unsqueeze(0))
        return hidden

    def run(self, hidden: Tensor, layout: Layout, first: int, last: int) -> Tensor:
        """`hidden` [1, tokens, hidden] after layers first to last (exclusive)."""
        rotary = self.model.model.rotary_emb(hidden, layout.positions)
        with mixed_precision(hidden.device):
            for layer in self.model.model.layers[first:last]:
                hidden = layer(hidden, attention_mask=layout.mask, position_embeddings=rotary)
        return hidden.float()

    def states(self, hidden: Tensor, layout: Layout) -> Tensor:
        """What each target is predicted from, [predicted, hidden], of what the frozen layers made."""
        hidden = self.run(hidden, layout, self.first_trained, self.layers)
        states: Tensor = self.model.model.norm(hidden[0, layout.before])
        return states

    def losses(self, hidden: Tensor, layout: Layout, targets: Tensor) -> Tensor:
        """The loss of each target [predicted], of what the frozen layers made."""
        states = self.states(hidden, layout)
        with mixed_precision(hidden.device):
            return cross_entropy(states, self.vocabulary, targets)

    def adapt(self, rank: int) -> None:
        """Put LoRA on all linear maps of the trained layers; it changes nothing until it is trained."""
        layers = "|".join(str(layer) for layer in range(self.first_trained, self.layers))
        config = LoraConfig(
            r=rank, lora_alpha=alpha(rank), target_modules=rf"model\.layers\.({layers})\.{_LINEAR_MAPS}"
        )
        self._adapted = get_peft_model(self.model, config)

    @contextmanager
    def unadapted(self) -> Iterator[None]:
        """Within, the model is the base that it was."""
        assert self._adapted is not None
        with self._adapted.disable_adapter():
            yield

    def trained(self) -> dict[str, Tensor]:
        """The parameters that training changes, by the names that the adapter's file gives them."""
        return {
            name.replace(".default", ""): parameter
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad
        }
