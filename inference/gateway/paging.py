"""Pages of a list: newest first, each beginning after the last object of the page before."""

from collections.abc import Sequence
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session

from core.models.base import TenantOwned
from inference.gateway.bodies import invalid_body
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.public_ids import Prefix, find_row_id
from inference.gateway.schemas.paging import PageQuery

Query = TypeVar("Query", bound=BaseModel)
Row = TypeVar("Row", bound=TenantOwned)
Item = TypeVar("Item", bound=BaseModel)


def read_query(schema: type[Query]) -> Query:
    """The request's query string. Raises ApiError naming the first wrong argument."""
    try:
        return schema.model_validate(request.args.to_dict())
    except ValidationError as error:
        refusal = invalid_body(error)
        raise ApiError(400, refusal.type, "invalid_query", refusal.message, param=refusal.param) from None


def find_page(
    session: Session,
    rows: "Select[Row]",
    table: type[Row],
    prefix: Prefix,
    query: PageQuery,
    *,
    oldest_first: bool = False,
) -> tuple[Sequence[Row], bool]:
    """The page of `rows` that `query` asks for, and whether there are more. Raises ApiError for a wrong `after`."""
    place = (table.created_at, table.id)
    if query.after is not None:
        row_id = find_row_id(prefix, query.after)
        last = session.get(table, row_id) if row_id else None
        if last is None:
            raise unknown_after()
        here = tuple_(last.created_at, last.id)
        rows = rows.where(tuple_(*place) > here if oldest_first else tuple_(*place) < here)
    order = place if oldest_first else tuple(column.desc() for column in place)
    found = session.scalars(rows.order_by(*order).limit(query.limit + 1)).all()
    return found[: query.limit], len(found) > query.limit


def cut_page(items: Sequence[Item], query: PageQuery) -> tuple[Sequence[Item], bool]:
    """The page of `items`, all of which have an `id`, that `query` asks for, and whether there are more."""
    start = 0
    if query.after is not None:
        ids = [_id(item) for item in items]
        if query.after not in ids:
            raise unknown_after()
        start = ids.index(query.after) + 1
    end = start + query.limit
    return items[start:end], len(items) > end


def ends(items: Sequence[Item]) -> dict[str, Any]:
    """`first_id` and `last_id` of a page."""
    return {"first_id": _id(items[0]), "last_id": _id(items[-1])} if items else {}


def _id(item: BaseModel) -> str:
    identifier: str = item.id  # type: ignore[attr-defined]
    return identifier


def unknown_after() -> ApiError:
    message = "'after' is not the id of an object in this list."
    return ApiError(400, ErrorType.INVALID_REQUEST, "invalid_query", message, param="after")
