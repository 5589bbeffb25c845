"""Requests that send texts, and what they used."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

DIGITS = 6
"""Decimals of a score in an answer."""


class TextsRequest(BaseModel):
    """`input` is one text or a list of them; `truncate` cuts texts that are longer than the model reads."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str = Field(min_length=1, max_length=64)
    input: list[str]
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
