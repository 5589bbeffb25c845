"""The tagger's network: the base encoder with low-rank changes in all of its layers, which reads how words are written too."""

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from core.catalogue import BaseModel
from core.privacy.reading import SHAPES
from training.pii_model.tokens import TAGS
from training.recipe.encoder import Encoder, alpha, read
from training.recipe.tokens import Indexes

RANK = 32
_LINEAR_MAPS = (
    r"encoder\.layer\.\d+\.(attention\.self\.query|attention\.self\.key|attention\.self\.value|attention\.output\.dense"
    r"|intermediate\.dense|output\.dense)"
)


class TaggerModel(nn.Module):
    """Gives each word's first token a score for every tag."""

    def __init__(self, base: BaseModel, layers: int, device: torch.device) -> None:
        """The base, which is loaded for it and checked, untrained. Raises BaseModelUnavailable.

        layers: how many of the base's, from the lowest on.
        """
        super().__init__()
        self.encoder = Encoder.load(base, device)
        self.model = self.encoder.model
        self.model.encoder.layer = self.model.encoder.layer[:layers]
        self.encoder.layers = layers
        get_peft_model(self.model, LoraConfig(r=RANK, lora_alpha=alpha(RANK), target_modules=_LINEAR_MAPS))
        embeddings = self.model.embeddings
        self.vocabulary: int = embeddings.word_embeddings.num_embeddings
        # The base knows two kinds of text and was given the first one only: each shape begins as that.
        first_row = embeddings.token_type_embeddings.weight[:1].detach()
        embeddings.token_type_embeddings = nn.Embedding.from_pretrained(
            first_row.repeat(SHAPES, 1), freeze=False
        )
        self.head = nn.Linear(self.encoder.hidden_size, len(TAGS))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(device)

    def forward(self, tokens: Tensor, mask: Tensor, places: Indexes) -> Tensor:
        """Logits [words, tags] of tokens [rows, longest], as training.pii_model.tokens numbers them."""
        hidden = self.model.embeddings(
            input_ids=tokens % self.vocabulary, token_type_ids=tokens // self.vocabulary
        )
        hidden = self.encoder.run(hidden, mask, 0, self.encoder.layers)
        logits: Tensor = self.head(read(hidden, mask, places))
        return logits

    def trained(self) -> dict[str, Tensor]:
        """The parameters that training changes, by the names that the adapter's file gives them."""
        found: dict[str, Tensor] = {"head.weight": self.head.weight, "head.bias": self.head.bias}
        for name, parameter in self.model.named_parameters():
            if "lora_" in name:
                found[name.replace(".default", "")] = parameter
        found["shapes"] = self.model.embeddings.token_type_embeddings.weight
        return found
