"""What is a tenant's alone: every id and every text in its rows that is in no row of the other's."""

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from psycopg import Connection, sql

from tests.isolation.catalogue import owned_tables

_SHORTEST = 7
"""Shorter texts stand on pages of their own accord."""


def private_values(superuser: Connection, of: UUID, beside: UUID) -> set[str]:
    """The distinctive values of the tenant `of` that the tenant `beside` does not have too."""
    return _values(superuser, of) - _values(superuser, beside)


def told(values: Iterable[str], answer: str) -> list[str]:
    """Those of the values that stand in an answer."""
    return [value for value in values if value in answer]


def _values(superuser: Connection, tenant_id: UUID) -> set[str]:
    found: set[str] = set()
    for table in owned_tables(superuser):
        query = sql.SQL("SELECT to_jsonb(t) FROM {} t WHERE tenant_id = %s").format(sql.Identifier(table))
        for (row,) in superuser.execute(query, (tenant_id,)):
            for text in _texts(row):
                found |= {text, text.replace("-", "")} if _is_id(text) else {text}
    return {value for value in found if len(value) >= _SHORTEST}


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from _texts(one)
        case list():
            for one in value:
                yield from _texts(one)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
