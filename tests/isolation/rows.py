"""A row of any table, made by what the catalogue says of its columns: so that a new table has one, too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import UUID, uuid4

from psycopg import Connection, sql
from psycopg.errors import CheckViolation

_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND d.oid IS NULL
        AND a.attgenerated = '' AND a.attidentity = ''
    ORDER BY a.attnum"""


@dataclass(frozen=True)
class _Column:
    name: str
    value: object
    needed: bool


def add_rows(connection: Connection, tables: Iterable[str], tenant_id: UUID) -> None:
    """Put a row of each table into the tenant, which has none there yet.

    `connection` is one that checks neither keys nor triggers.
    """
    for table in tables:
        found = sql.SQL("SELECT 1 FROM {} WHERE tenant_id = %s LIMIT 1").format(sql.Identifier(table))
        if connection.execute(found, (tenant_id,)).fetchone() is None:
            _add_row(connection, table, tenant_id)


def _add_row(connection: Connection, table: str, tenant_id: UUID) -> None:
    found = connection.execute(_COLUMNS, (table,)).fetchall()
    for chosen in chain(_choices(found, tenant_id, said=False), _choices(found, tenant_id, said=True)):
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(sql.Identifier(column.name) for column in chosen),
            sql.SQL(", ").join(sql.Placeholder() * len(chosen)),
        )
        try:
            connection.execute(statement, [column.value for column in chosen])
        except CheckViolation:
            continue
        return
    raise LookupError(
        f"tests/isolation/rows.py makes no row that {table} takes: put one into tests/world.py."
    )


def _choices(found: list[tuple[str, str, bool]], tenant_id: UUID, *, said: bool) -> Iterator[list[_Column]]:
    """The columns that a row cannot do without, then with one of the others, then all. Yes and no is what is `said`."""
    columns = [
        _Column(name, tenant_id if name == "tenant_id" else _value(kind, number, said), needed)
        for number, (name, kind, needed) in enumerate(found)
    ]
    needed = [column for column in columns if column.needed]
    yield needed
    for column in columns:
        if not column.needed:
            yield [*needed, column]
    yield columns


def _value(kind: str, number: int, said: bool) -> object:
    kind, _, size = kind.rstrip(")").partition("(")
    # Later columns get later times: what ends, ends after it began.
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    by_kind: dict[str, object] = {
        "uuid": uuid4(),
        "character varying": uuid4().hex[: int(size or 12)],
        "text": uuid4().hex,
        "bytea": uuid4().bytes,
        "bigint": number + 1,
        "integer": number + 1,
        "double precision": 0.5,
        "numeric": 1,
        "boolean": said,
        "timestamp with time zone": moment,
        "date": moment.date(),
        "jsonb": "{}",
    }
    if kind not in by_kind:
        raise LookupError(f"tests/isolation/rows.py makes no value of the type {kind}: teach it one.")
    return by_kind[kind]
