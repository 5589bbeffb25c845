"""Mail about somebody's own account: queued with what it tells of, sent by a worker, and the links in it.

A link's token is made when the mail is sent, so that it stands nowhere but in the mail; the row keeps its digest.
"""

import secrets
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from core import mail
from core.clock import now
from core.db import ScopedSession, operator_session, tenant_session
from core.models.account_mail import MailKind, StaffMail, UserMail
from core.models.staff import StaffMember
from core.models.users import User
from core.queues import Queue, enqueue_after_commit, rq_queue
from core.tenancy import system_scope
from portal.mail_texts import LIFETIMES, text_of

log = structlog.get_logger(__name__)

DELIVER = "portal.account_mail.deliver"
KEPT = timedelta(days=30)
"""How long it is known what was mailed to whom."""

_STAFF = "staff"
_TIMEOUT_SECONDS = 60
_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120))

_ONE_AT_A_TIME = LIFETIMES.keys() - {MailKind.ADDRESS_CHANGED}
"""The kinds of which the last link is the only one that works. Two changes in a row leave two ways back."""

Person = User | StaffMember
Mail = UserMail | StaffMail
_TABLES: tuple[Any, ...] = (UserMail, StaffMail)


def send(session: Session, person: Person, kind: MailKind, address: str | None = None) -> None:
    """Mail the person once `session` has committed, at `address` or their own. Earlier links of the kind stop working."""
    if kind in _ONE_AT_A_TIME:
        cancel(session, person, kind)
    columns = {"kind": kind, "address": address or person.email, "due_at": now()}
    row: Mail = (
        UserMail(tenant_id=person.tenant_id, user_id=person.id, **columns)
        if isinstance(person, User)
        else StaffMail(staff_id=person.id, **columns)
    )
    session.add(row)
    session.flush()
    _ring_after_commit(session, row)


def cancel(session: Session, person: Person, *kinds: MailKind) -> None:
    """Have the links of these kinds that the person was sent work no more."""
    _cancel(session, person, _table(person).kind.in_(kinds))


def cancel_links(session: Session, person: Person, since: datetime) -> None:
    """Have every link of the person's work no more, but the ways back to addresses that they had before `since`."""
    table = _table(person)
    _cancel(
        session,
        person,
        table.kind.in_(_ONE_AT_A_TIME)
        | (table.kind == MailKind.ADDRESS_CHANGED) & (table.created_at > since),
    )


def _cancel(session: Session, person: Person, which: ColumnElement[bool]) -> None:
    table = _table(person)
    session.execute(
        update(table)
        .where(_is_for(person), which, table.used_at.is_(None))
        .values(used_at=now(), due_at=None)
    )


def find_linked(session: Session, token: str, *kinds: MailKind) -> tuple[Mail, Person] | None:
    """The mail whose link holds `token`, locked, and whom it was for; None unless the link is still good.

    `session` is an operator session: whoever has the link need not be signed in.
    """
    for table in _TABLES:
        row: Mail | None = session.scalars(
            select(table)
            .where(
                table.token_digest == _digest(token),
                table.kind.in_(kinds),
                table.used_at.is_(None),
                table.expires_at > now(),
            )
            .with_for_update()
        ).one_or_none()
        if isinstance(row, UserMail):
            return row, session.get_one(User, row.user_id, with_for_update=True)
        if row is not None:
            return row, session.get_one(StaffMember, row.staff_id, with_for_update=True)
    return None


def deliver(place: str, mail_id: str) -> None:
    """Send a mail that is due; RQ's entry point. `place` is the person's tenant, or "staff"."""
    with _open(place) as session:
        table: Any = StaffMail if place == _STAFF else UserMail
        row: Mail | None = session.get(table, UUID(mail_id), with_for_update=True)
        if row is None or row.due_at is None or row.due_at > now():
            return
        # The next attempt's time is noted before this one, which may be cut off.
        row.due_at = None if row.attempts >= len(_WAITS) else now() + _WAITS[row.attempts]
        row.attempts += 1
        token = _give_token(row)
        session.commit()
        subject, body = text_of(row, token)
        try:
            mail.send([row.address], subject, body)
        except mail.Undelivered as error:
            log.warning("mail_undelivered", place=place, mail_id=mail_id, reason=str(error))
            return
        row.due_at = None
        session.commit()


def requeue_due(session: Session) -> None:
    """Ring for mails whose time has come. `session` is an operator session."""
    if rq_queue(Queue.BATCHES).is_empty():
        for table in _TABLES:
            for row in session.scalars(select(table).where(table.due_at <= now())):
                _ring_after_commit(session, row)


def forget_old(session: Session) -> None:
    """Delete what was mailed long ago. `session` is an operator session."""
    for table in _TABLES:
        session.execute(delete(table).where(table.created_at < now() - KEPT))


def _give_token(row: Mail) -> str | None:
    """A new token for the mail's link, where it has one; an attempt before this one may have sent another."""
    lifetime = LIFETIMES.get(row.kind)
    if lifetime is None:
        return None
    token = secrets.token_urlsafe(32)
    row.token_digest = _digest(token)
    row.expires_at = row.created_at + lifetime
    return token


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _open(place: str) -> AbstractContextManager[ScopedSession]:
    if place == _STAFF:
        return operator_session("the operator's staff belong to no tenant")
    return tenant_session(system_scope(UUID(place), "worker"))


def _table(person: Person) -> Any:
    return UserMail if isinstance(person, User) else StaffMail


def _is_for(person: Person) -> ColumnElement[bool]:
    return UserMail.user_id == person.id if isinstance(person, User) else StaffMail.staff_id == person.id


def _ring_after_commit(session: Session, row: Mail) -> None:
    place = str(row.tenant_id) if isinstance(row, UserMail) else _STAFF
    enqueue_after_commit(session, Queue.BATCHES, DELIVER, place, str(row.id), timeout=_TIMEOUT_SECONDS)
