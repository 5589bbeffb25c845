"""Asking for another tenant's object and for one that there is not: both must be answered alike, down to the
statements that the answer took."""

import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from flask.testing import FlaskClient
from redis.connection import AbstractConnection
from sqlalchemy import Engine, event

from inference.gateway.public_ids import Prefix

_HOUSEKEEPING = re.compile(r"UPDATE \w+ SET last_(used|seen)_at=")
"""Once a minute, whatever is asked for."""

_CSRF_TOKEN = re.compile(r'(csrf_token" value=")[^"]+')
"""It holds the second at which it was made."""

_CHANGING_HEADERS = re.compile(r"X-Request-Id|Set-Cookie|Date|x-ratelimit-(remaining|reset)-\w+")


@dataclass
class Work:
    """What an answer took: the SQL statements in their order, and how often each Redis command."""

    statements: list[str] = field(default_factory=list)
    commands: Counter[bytes] = field(default_factory=Counter)


@dataclass(frozen=True)
class Answer:
    """All that whoever asks can see, and the work behind it, from which the time that it took follows."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    work: Work


@contextmanager
def watched() -> Iterator[Work]:
    """The work that is done meanwhile in this process."""
    work = Work()
    send = AbstractConnection.send_packed_command

    def note_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not _HOUSEKEEPING.match(statement):
            work.statements.append(statement)

    def note_command(self: Any, command: Any, *arguments: Any, **options: Any) -> Any:
        packed = command if isinstance(command, bytes) else b"".join(command)
        work.commands.update(re.findall(rb"^\*\d+\r\n\$\d+\r\n(\w+)", packed, re.MULTILINE))
        return send(self, command, *arguments, **options)

    event.listen(Engine, "before_cursor_execute", note_statement)
    AbstractConnection.send_packed_command = note_command  # type: ignore[method-assign]
    try:
        yield work
    finally:
        AbstractConnection.send_packed_command = send  # type: ignore[method-assign]
        event.remove(Engine, "before_cursor_execute", note_statement)


def ask(client: FlaskClient, method: str, path: str, named: object, **options: Any) -> Answer:
    """The answer to a request that names something: `named` is blotted out wherever it is repeated."""
    with watched() as work:
        response = client.open(path, method=method, **options)
        body = response.get_data().decode("utf-8", "replace")  # a download may be no text
    request_id = response.headers.get("X-Request-Id", "")
    body = _CSRF_TOKEN.sub(r"\1<token>", body)
    for spelling in filter(None, _spellings(named)):
        body = body.replace(spelling, "<named>")
    if request_id:
        body = body.replace(request_id, "<request>")
    headers = sorted(it for it in response.headers if not _CHANGING_HEADERS.fullmatch(it[0]))
    return Answer(response.status_code, tuple(headers), body, work)


def _spellings(named: object) -> list[str]:
    """Longest first: as it is, in HTML, in an address."""
    text = str(named)
    return sorted(
        {text, text.lower(), html.escape(text), quote(text), repr(text)[1:-1]}, key=len, reverse=True
    )


def difference(theirs: Answer, nowhere: Answer) -> str:
    """What tells the two apart; nothing where nothing does."""
    if theirs.status != nowhere.status:
        return f"status: {theirs.status} and for what is nowhere {nowhere.status}"
    if theirs.headers != nowhere.headers:
        return f"headers: {theirs.headers} and for what is nowhere {nowhere.headers}"
    if theirs.body != nowhere.body:
        return "body: " + _where_they_part(theirs.body, nowhere.body)
    if theirs.work.statements != nowhere.work.statements:
        return f"statements: {theirs.work.statements} and for what is nowhere {nowhere.work.statements}"
    if theirs.work.commands != nowhere.work.commands:
        return f"Redis: {theirs.work.commands} and for what is nowhere {nowhere.work.commands}"
    return ""


def _where_they_part(one: str, other: str) -> str:
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    begin, end = max(place - 80, 0), place + 80
    return f"{one[begin:end]!r} and for what is nowhere {other[begin:end]!r}"


def is_a_tenants(access: Any) -> bool:
    """Whether a route of the portal or the API is for a tenant's people or apps, by the access that it states."""
    return not access.public and getattr(access, "staff_permission", None) is None


def nowhere_like(value: object) -> object:
    """An id of the same form and length that nothing has: of a row, one that the API shows, or a name."""
    if isinstance(value, UUID):
        return uuid4()
    text = str(value)
    prefix = next((prefix for prefix in Prefix if text.startswith(prefix)), None)
    return f"{prefix}{uuid4().hex}" if prefix else (uuid4().hex * 3)[: len(text)]


def spelled(value: object) -> Iterator[str]:
    """An id as it is shown, and in other cases: what they find must not depend on whose it is either."""
    yield str(value)
    yield str(value).upper()
    yield str(value).swapcase()


def with_value(body: Mapping[str, Any], where: str, value: object) -> dict[str, Any]:
    """`body` with `value` in the field `where`, whose parts are separated by dots."""
    name, _, rest = where.partition(".")
    return {**body, name: with_value(body.get(name) or {}, rest, value) if rest else value}
