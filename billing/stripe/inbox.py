"""The inbox of Stripe's events: each is kept once, and handled by fetching what it is about.

Neither their order nor their number matters: an event only says where to look.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from billing.stripe import handlers
from billing.stripe.client import StripeClient, StripeMissing, StripeProblem
from core import audit
from core.clock import now
from core.db import operator_session
from core.models.stripe import StripeEvent
from core.tenancy import Actor

ATTEMPTS = 12
"""After which a person has to look: with the growing waits, about eight hours."""

KEPT = timedelta(days=90)
"""How long an event that was handled stays to be looked at."""

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=15), timedelta(hours=2)
_MAX_ID, _MAX_TYPE = 255, 120

log = structlog.get_logger(__name__)


class WrongEvent(ValueError):
    """The body is not an event of Stripe's."""


class EventNotFound(LookupError):
    """The inbox has no event of that id."""


class EventStateError(Exception):
    """The event was handled already; the message is fit to show."""


@dataclass(frozen=True)
class Received:
    """What is kept of an event: its id, type, what it is about, and when it happened."""

    event_id: str
    type: str
    object_id: str | None
    occurred_at: datetime


def read(body: bytes) -> Received:
    """Read an event, of either of Stripe's two forms. Raises WrongEvent."""
    try:
        event = json.loads(body)
    except ValueError:
        raise WrongEvent("The body is no JSON.") from None
    return parse(event)


def parse(event: object) -> Received:
    """Read an event that was parsed already. Raises WrongEvent."""
    if not isinstance(event, dict):
        raise WrongEvent("An event is an object.")
    try:
        received = Received(
            str(event["id"]), str(event["type"]), _object_id(event), _moment(event["created"])
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise WrongEvent("An event has an id, a type, and when it was created.") from None
    if len(received.event_id) > _MAX_ID or len(received.type) > _MAX_TYPE:
        raise WrongEvent("The event's id or type is too long.")
    return received


def _object_id(event: Mapping[str, Any]) -> str | None:
    # The newer form names what it is about, the older one has it whole.
    related = event.get("related_object") or (event.get("data") or {}).get("object") or {}
    found = related.get("id")
    return found[:_MAX_ID] if isinstance(found, str) else None


def _moment(created: int | str) -> datetime:
    if isinstance(created, str):
        return datetime.fromisoformat(created).astimezone(UTC)
    return datetime.fromtimestamp(created, UTC)


def receive(session: Session, received: Received, at: datetime | None = None) -> UUID | None:
    """Put an event into the inbox; its row's id, or None where it is there already. The caller commits.

    Wants an operator session.
    """
    at = at or now()
    return session.scalar(
        insert(StripeEvent)
        .values(
            event_id=received.event_id,
            type=received.type,
            object_id=received.object_id,
            occurred_at=received.occurred_at,
            received_at=at,
            due_at=at,
            attempts=0,
        )
        .on_conflict_do_nothing(index_elements=["event_id"])
        .returning(StripeEvent.id)
    )


def handle_due(client: StripeClient, at: datetime | None = None, limit: int = 500) -> int:
    """Handle the events whose time has come, oldest first; how many."""
    with operator_session("find Stripe's events that are due") as session:
        due = session.scalars(
            select(StripeEvent.id)
            .where(StripeEvent.due_at <= (at or now()))
            .order_by(StripeEvent.occurred_at, StripeEvent.received_at)
            .limit(limit)
        ).all()
    for event_id in due:
        handle(client, event_id, at)
    return len(due)


def handle(client: StripeClient, row_id: UUID, at: datetime | None = None) -> None:
    """Handle one event of the inbox, unless somebody else is at it or has done so."""
    at = at or now()
    with operator_session("handle an event of Stripe's, of any tenant") as session:
        event = session.scalar(
            select(StripeEvent)
            .where(StripeEvent.id == row_id, StripeEvent.handled_at.is_(None))
            .with_for_update(skip_locked=True)
        )
        if event is None:
            return
        received = Received(event.event_id, event.type, event.object_id, event.occurred_at)
        event.attempts += 1
        try:
            handlers.handle(client, received.type, received.event_id, received.object_id)
        except StripeMissing as problem:
            event.handled_at, event.due_at, event.error = at, None, str(problem)
        except StripeProblem as problem:
            log.warning("stripe_event_failed", stripe_event=received.event_id, code=problem.code)
            event.error, event.due_at = str(problem), _next_attempt(event.attempts, at)
        except Exception as problem:
            # Whatever is wrong with it stays in the inbox with it, and the events behind it are handled.
            log.exception("stripe_event_failed", stripe_event=received.event_id)
            event.error, event.due_at = type(problem).__name__, _next_attempt(event.attempts, at)
        else:
            event.handled_at, event.due_at, event.error = at, None, None
        session.commit()


def _next_attempt(attempts: int, at: datetime) -> datetime | None:
    if attempts >= ATTEMPTS:
        return None
    wait: timedelta = min(_FIRST_WAIT * 2 ** (attempts - 1), _LONGEST_WAIT)
    return at + wait


def retry(session: Session, actor: Actor, row_id: UUID) -> StripeEvent:
    """Have an event handled that was not so far. The caller commits, and then rings for the billing worker.

    Wants an operator session. Raises EventNotFound, EventStateError.
    """
    event = session.scalar(select(StripeEvent).where(StripeEvent.id == row_id).with_for_update())
    if event is None:
        raise EventNotFound(f"There is no event {row_id}.")
    if event.handled_at is not None:
        raise EventStateError("The event was handled already.")
    event.due_at, event.attempts = now(), 0
    detail = {"event": event.event_id, "type": event.type}
    audit.record_staff(session, actor, "stripe_event.retried", StripeEvent.__tablename__, event.id, detail)
    return event


def forget(session: Session, at: datetime) -> None:
    """Delete the events that were handled long ago, and that Stripe does not list any more. The caller commits."""
    session.execute(delete(StripeEvent).where(StripeEvent.handled_at < at - KEPT))


def list_events(session: Session, *, only_unhandled: bool = False, limit: int = 200) -> Sequence[StripeEvent]:
    """The inbox, newest first. Wants an operator session."""
    query = select(StripeEvent)
    if only_unhandled:
        query = query.where(StripeEvent.handled_at.is_(None))
    return session.scalars(query.order_by(StripeEvent.occurred_at.desc()).limit(limit)).all()


@dataclass(frozen=True)
class EventCounts:
    """How many events are handled, wait for their turn, and want a person since trying was given up."""

    handled: int
    waiting: int
    given_up: int


def count_events(session: Session) -> EventCounts:
    """Count the inbox by what became of each event. Wants an operator session."""
    unhandled = StripeEvent.handled_at.is_(None)
    handled, waiting, given_up = session.execute(
        select(
            func.count().filter(~unhandled),
            func.count().filter(unhandled, StripeEvent.due_at.is_not(None)),
            func.count().filter(unhandled, StripeEvent.due_at.is_(None)),
        ).select_from(StripeEvent)
    ).one()
    return EventCounts(handled, waiting, given_up)
