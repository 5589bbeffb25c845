"""Requests that send texts, and what they used."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from inference.gateway.prediction import MAXIMUM_TEXTS

DIGITS = 6
"""Decimals of a score in an answer."""

_TEXT = {"type": "string", "minLength": 1}
Texts = Annotated[
    list[str],
    WithJsonSchema(
        {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MAXIMUM_TEXTS}]}
    ),
]
"""One text or a list of them, which a validator makes one of; the description of the API says both."""


class TextsRequest(BaseModel):
    """`input` is one text or a list of them; `truncate` cuts texts that are longer than the model reads."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str = Field(min_length=1, max_length=64)
    input: Texts
    truncate: bool = False

    @field_validator("input", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> list[str]:
        return text_list(value)


class TextsUsage(BaseModel):
    inputs: int
    tokens: int


def text_list(value: Any) -> list[str]:
    """One text or a list of them, as a list. Raises ValueError for anything else."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ValueError("must be a string or a list of strings")
    for index, text in enumerate(value):
        if not isinstance(text, str):
            raise ValueError(f"must be a string or a list of strings; item {index} is neither")
    return value
