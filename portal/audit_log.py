"""Reading an audit log, a tenant's or the operator's: narrowed down, newest first, a page at a time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Generic, TypeVar

from flask import request, url_for
from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session
from wtforms import SelectChoice

from billing.periods import first_moment_of, last_moment_of
from core.models.audit import AuditEvent, StaffEvent
from portal.forms.audit import AuditFilterForm

PAGE_SIZE = 50
_LAST_PAGE = 10_000

Event = TypeVar("Event", AuditEvent, StaffEvent)


@dataclass(frozen=True)
class AuditFilter:
    """What to show: an event matches where all that is given does; days are UTC and both included."""

    actor: str = ""
    action: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.actor or self.action or self.since or self.until)


_QUERY_FIELDS = tuple(field.name for field in fields(AuditFilter))


@dataclass(frozen=True)
class AuditPage(Generic[Event]):
    """A page of events, and the addresses of those before and after it."""

    events: Sequence[Event]
    first: int
    newer: str | None
    older: str | None

    @property
    def summary(self) -> str:
        return f"{self.first}–{self.first + len(self.events) - 1}"


def search(
    session: Session, event: type[Event], wanted: AuditFilter, page: int, nouns: Collection[str] = ()
) -> tuple[Sequence[Event], bool]:
    """The events of a page (the first is 1), and whether older ones follow; only of `nouns` where any are given."""
    query = select(event).where(_is_of(event, nouns)).order_by(event.at.desc(), event.id)
    if wanted.actor:
        query = query.where(event.actor_label.icontains(wanted.actor, autoescape=True))
    if wanted.action:
        query = query.where(event.action == wanted.action)
    if wanted.since:
        query = query.where(event.at >= first_moment_of(wanted.since))
    if wanted.until:
        query = query.where(event.at <= last_moment_of(wanted.until))
    rows = session.scalars(query.offset((page - 1) * PAGE_SIZE).limit(PAGE_SIZE + 1)).all()
    return rows[:PAGE_SIZE], len(rows) > PAGE_SIZE


def actions(session: Session, event: type[Event], nouns: Collection[str] = ()) -> Sequence[str]:
    """Every action that the log has, or has of `nouns`, by name."""
    query = select(event.action).where(_is_of(event, nouns)).distinct().order_by(event.action)
    return session.scalars(query).all()


def _is_of(event: type[Event], nouns: Collection[str]) -> ColumnElement[bool]:
    """Whether an action is of one of the nouns: "invoice.paid" is of "invoice"."""
    return func.split_part(event.action, ".", 1).in_(nouns) if nouns else true()


def read_request(
    session: Session, event: type[Event], nouns: Collection[str] = ()
) -> tuple[AuditFilterForm, AuditFilter, AuditPage[Event]]:
    """What the request's query asks for: the form as it was filled in, what it means, and the page of events.

    With `nouns`, the log is of what was done to these alone.
    """
    form = AuditFilterForm(request.args)
    form.action.choices = [
        SelectChoice("", "Any action"),
        *(SelectChoice(name, readable(name)) for name in actions(session, event, nouns)),
    ]
    wanted = (
        AuditFilter((form.actor.data or "").strip(), form.action.data or "", form.since.data, form.until.data)
        if form.validate()
        else AuditFilter()
    )
    number = min(max(request.args.get("page", 1, type=int), 1), _LAST_PAGE)
    events, has_older = search(session, event, wanted, number, nouns)
    return (
        form,
        wanted,
        AuditPage(
            events,
            first=(number - 1) * PAGE_SIZE + 1,
            newer=_address(number - 1) if number > 1 else None,
            older=_address(number + 1) if has_older else None,
        ),
    )


def readable(action: str) -> str:
    """An action in words: member.role_changed → Member: role changed."""
    noun, _, verb = action.replace("_", " ").partition(".")
    return f"{noun.capitalize()}: {verb}" if verb else noun.capitalize()


def detail_text(detail: Mapping[str, object]) -> str:
    """An event's detail on one line: from viewer, to admin."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in detail.items())


def _address(page: int) -> str:
    # Only the filter's own fields: url_for gives some other names a meaning.
    query: dict[str, Any] = {name: request.args[name] for name in _QUERY_FIELDS if request.args.get(name)}
    return url_for(str(request.endpoint), **query, page=page)
