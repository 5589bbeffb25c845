"""The bodies of /v1/embeddings, as OpenAI's clients send and read them."""

import base64
import struct
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inference.gateway.prediction import Embeddings
from inference.gateway.schemas.texts import Texts, text_list


class EmbeddingsRequest(BaseModel):
    """Texts to be made vectors of by an encoder of the catalogue; `base64` is of 32-bit floats, little-endian."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str = Field(min_length=1, max_length=64)
    input: Texts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: None = None
    user: str | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> list[str]:
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, int | list):
            raise ValueError("must be a string or a list of strings; tokens are not supported, send the text")
        return text_list(value)

    @field_validator("dimensions", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("cannot be chosen; leave it out, and cut the vectors off yourself")


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    object: Literal["list"] = "list"
    model: str
    policy_version: int
    data: list[Embedding]
    usage: EmbeddingsUsage

    @classmethod
    def of(cls, embeddings: Embeddings, *, in_base64: bool) -> "EmbeddingsResponse":
        return cls(
            model=embeddings.model,
            policy_version=embeddings.policy_version,
            data=[
                Embedding(index=index, embedding=_base64(one.vector) if in_base64 else one.vector)
                for index, one in enumerate(embeddings.results)
            ],
            usage=EmbeddingsUsage(prompt_tokens=embeddings.tokens, total_tokens=embeddings.tokens),
        )


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
