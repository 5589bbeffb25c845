"""What a view takes and gives, stated beside it: the OpenAPI document is made of this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel

View = TypeVar("View", bound=Callable[..., Any])
Schema = type[BaseModel]

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Description:
    """`answer` is the JSON that comes with `status`, and `media` the other types that may come instead.

    `also` is the JSON of other statuses that are no errors. `body` (JSON, or text of one of the types `body_media`),
    `form` (multipart, with a file) and `query` are what the view reads; `errors` the statuses that it answers with beyond those that every route can.
    """

    answer: Schema | None
    status: int
    media: tuple[str, ...]
    also: Mapping[int, Schema]
    body: Schema | None
    body_media: tuple[str, ...]
    form: Schema | None
    query: Schema | None
    errors: tuple[int, ...]


def describes(
    answer: Schema | None = None,
    *,
    status: int = 200,
    media: tuple[str, ...] = (),
    also: Mapping[int, Schema] = MappingProxyType({}),
    body: Schema | None = None,
    body_media: tuple[str, ...] = (),
    form: Schema | None = None,
    query: Schema | None = None,
    errors: tuple[int, ...] = (),
) -> Callable[[View], View]:
    """State what the view takes and gives; see Description."""
    description = Description(answer, status, media, also, body, body_media, form, query, errors)

    def state(view: View) -> View:
        view.description = description  # type: ignore[attr-defined]
        return view

    return state
