"""A chat base in the memory of the process that computes it: weights, and the bytes that its tokens stand for."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from core.catalogue import get_base_model
from inference.pool.chat.decoder import Decoder
from inference.pool.chat.text import token_bytes
from inference.pool.linear import linear_of
from inference.pool.precision import Precision


@dataclass(frozen=True, slots=True)
class ChatBase:
    """`digest` is the SHA-256 of the weights' file; `max_length` the most tokens of prompt and answer together."""

    id: str
    digest: str
    max_length: int
    decoder: Decoder
    token_bytes: tuple[bytes, ...]

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        base_model_id: str,
        digest: str,
        max_length: int,
        precision: Precision = Precision.FP32,
    ) -> "ChatBase":
        """The base in `folder`. Raises UnsupportedModel."""
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        decoder = Decoder.load(folder, max_length, linear_of(precision))
        table = token_bytes(tokenizer, decoder.config.vocabulary)
        return cls(base_model_id, digest, max_length, decoder, table)


def load_chat_base(base_model_id: str, precision: Precision = Precision.FP32) -> ChatBase:
    """Load a chat base of the catalogue, after checking its weights' digest.

    Raises UnknownBaseModel, BaseModelUnavailable or UnsupportedModel.
    """
    model = get_base_model(base_model_id)
    return ChatBase.load(
        model.verify(),
        base_model_id=model.id,
        digest=model.sha256,
        max_length=model.max_length,
        precision=precision,
    )
