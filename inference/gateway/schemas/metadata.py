"""What clients may note about an object of theirs."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must hold no NUL character")
    return text


Metadata = Annotated[
    dict[
        Annotated[str, Field(max_length=64), AfterValidator(_storable)],
        Annotated[str, Field(max_length=512), AfterValidator(_storable)],
    ],
    Field(max_length=16),
]
"""Up to 16 names of up to 64 characters, with texts of up to 512."""
