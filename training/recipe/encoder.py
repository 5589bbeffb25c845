"""The base encoder (transformers' BERT) and a model on it, in two parts: layers that stay frozen, layers that are
trained."""

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import BertModel

from core.catalogue import BaseModel
from core.models.fine_tune_jobs import Method
from training.recipe.loading import quiet
from training.recipe.settings import FineTuneSettings
from training.recipe.tokens import Indexes

LORA_LAYERS = 4
"""How many layers LoRA changes, counted from the top; docs/fine-tuning.md has what others gave."""

# Anchored at the layer: "output.dense" must not mean "attention.output.dense" too.
_LINEAR_MAPS = (
    r"(attention\.self\.query|attention\.self\.key|attention\.self\.value|attention\.output\.dense"
    r"|intermediate\.dense|output\.dense)"
)


class Encoder:
    """A BERT model whose layers can be run from one to another. Rows are padded; `mask` says what is not padding."""

    def __init__(self, model: BertModel) -> None:
        self.model = model
        self.layers = len(model.encoder.layer)
        self.hidden_size: int = model.config.hidden_size

    @classmethod
    def load(cls, base: BaseModel, device: torch.device) -> "Encoder":
        """The base, frozen, after checking its weights' digest, without dropout. Raises BaseModelUnavailable."""
        folder = base.verify()
        with quiet():
            model = BertModel.from_pretrained(
                str(folder),
                add_pooling_layer=False,
                attn_implementation="sdpa",
                dtype=torch.float32,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                local_files_only=True,
            )
        return cls(model.requires_grad_(False).eval().to(device))

    def embed(self, ids: Tensor) -> Tensor:
        """What the first layer reads, [rows, longest, hidden], of `ids` [rows, longest]."""
        hidden: Tensor = self.model.embeddings(input_ids=ids)
        return hidden

    def run(self, hidden: Tensor, mask: Tensor, first: int, last: int) -> Tensor:
        """`hidden` after layers first to last (exclusive)."""
        attention_mask = None if bool(mask.all()) else mask[:, None, None, :]
        for layer in self.model.encoder.layer[first:last]:
            hidden = layer(hidden, attention_mask)
        return hidden


class EncoderModel(nn.Module):
    """The trained layers over what the frozen ones made, and a linear head that reads rows or words."""

    def __init__(self, encoder: Encoder, first_trained: int, head_weight: Tensor, head_bias: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.first_trained = first_trained
        self.model = encoder.model
        self.head = nn.Linear(head_weight.shape[1], head_weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(head_weight)
            self.head.bias.copy_(head_bias)
        self.to(next(self.model.parameters()).device)

    @classmethod
    def prepare(
        cls, encoder: Encoder, settings: FineTuneSettings, head_weight: Tensor, head_bias: Tensor
    ) -> "EncoderModel":
        """Make `encoder`, which is altered, trainable in the settings' way."""
        first = first_trained_layer(settings.method, encoder.layers)
        if settings.method is Method.LORA:
            layers = "|".join(str(layer) for layer in range(first, encoder.layers))
            config = LoraConfig(
                r=settings.rank,
                lora_alpha=alpha(settings.rank),
                target_modules=rf"encoder\.layer\.({layers})\.{_LINEAR_MAPS}",
            )
            get_peft_model(encoder.model, config)
        else:
            encoder.model.encoder.requires_grad_(True)
        return cls(encoder, first, head_weight, head_bias)

    def forward(self, hidden: Tensor, mask: Tensor, places: Indexes | None) -> Tensor:
        """Logits [labeled, labels] of what the frozen layers made, [rows, longest, hidden].

        places: [labeled], the words among the rows' tokens; None where each row is labeled as a whole.
        """
        hidden = self.encoder.run(hidden, mask, self.first_trained, self.encoder.layers)
        if places is None:
            logits: Tensor = self.head(mean_pooled(hidden, mask))
        else:
            # Row by row, and then the words: the head's gradient can then be told apart by rows.
            logits = at_places(self.head(hidden), mask, places)
        return logits

    def logits(self, ids: Tensor, mask: Tensor, places: Indexes | None) -> Tensor:
        """Logits [labeled, labels] of token ids [rows, longest]."""
        hidden = self.encoder.run(self.encoder.embed(ids), mask, 0, self.first_trained)
        logits: Tensor = self(hidden, mask, places)
        return logits

    def trained(self) -> dict[str, Tensor]:
        """The parameters that training changes, by the names that the adapter's file gives them."""
        found: dict[str, Tensor] = {"head.weight": self.head.weight, "head.bias": self.head.bias}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                found[name.replace(".default", "") if "lora_" in name else f"base.{name}"] = parameter
        return found


def first_trained_layer(method: Method, layers: int) -> int:
    """The lowest layer that training changes; those below are frozen, as are the embeddings always."""
    return max(0, layers - LORA_LAYERS) if method is Method.LORA else 0


def alpha(rank: int) -> int:
    """LoRA's scale times its rank. In proportion to the rank, so that a learning rate suits every rank."""
    return 2 * rank


def read(hidden: Tensor, mask: Tensor, places: Indexes | None) -> Tensor:
    """What a head reads, [labeled, hidden]: the mean of each row's tokens, or the tokens at `places` among all."""
    if places is None:
        return mean_pooled(hidden, mask)
    return at_places(hidden, mask, places)


def at_places(values: Tensor, mask: Tensor, places: Indexes) -> Tensor:
    """Of `values` [rows, longest, width] those of the tokens at `places` among all that are no padding."""
    return values[mask][torch.from_numpy(places).to(values.device)]


def mean_pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean of each row's tokens, [rows, hidden]."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)
