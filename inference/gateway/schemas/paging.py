"""Lists that come in pages."""

from typing import Literal

from pydantic import BaseModel, Field

MOST_ON_A_PAGE = 100


class PageQuery(BaseModel):
    """`after` is the id of the last object of the page before."""

    after: str | None = None
    limit: int = Field(20, ge=1, le=MOST_ON_A_PAGE)


class Page(BaseModel):
    """What every list has besides its `data`."""

    object: Literal["list"] = "list"
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool


class Deleted(BaseModel):
    """Says that the object of that id is gone."""

    id: str
    object: str
    deleted: Literal[True] = True
