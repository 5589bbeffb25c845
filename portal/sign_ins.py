"""Sign-ins: started, listed and ended. `session` sees the person's own rows: their tenant's, or an operator's."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from core.clock import now
from core.models.sessions import StaffSession, UserSession
from core.models.sign_in_rules import DEFAULT_SESSION_HOURS, SignInRules
from core.models.staff import StaffMember
from core.models.users import User

LONGEST = timedelta(hours=DEFAULT_SESSION_HOURS)
SEEN_RESOLUTION = timedelta(minutes=1)

Person = User | StaffMember
SignIn = UserSession | StaffSession


def start(session: Session, person: Person, device: str, network: str) -> SignIn:
    """Note that `person` signed in, and forget those of their sign-ins that are over."""
    at = now()
    table = _table(person)
    session.execute(delete(table).where(_belongs_to(person), table.started_at <= at - LONGEST))
    noted = {"device": device, "network": network, "started_at": at, "last_seen_at": at}
    row: SignIn = (
        UserSession(tenant_id=person.tenant_id, user_id=person.id, **noted)
        if isinstance(person, User)
        else StaffSession(staff_id=person.id, **noted)
    )
    session.add(row)
    session.flush()
    return row


def is_over(row: SignIn, rules: SignInRules | None) -> bool:
    """Whether the session has lasted as long as the person's tenant allows."""
    longest = LONGEST if rules is None else timedelta(hours=rules.session_hours)
    return row.started_at <= now() - longest


def is_seen_due(row: SignIn, at: datetime) -> bool:
    """Whether to note anew when the session was used: to write at every request would cost more than it tells."""
    return row.last_seen_at <= at - SEEN_RESOLUTION


def listed(session: Session, person: Person) -> Sequence[SignIn]:
    """The person's sign-ins, the one that was used last first."""
    rows: Sequence[SignIn] = (
        session.scalars(select(UserSession).where(UserSession.user_id == person.id)).all()
        if isinstance(person, User)
        else session.scalars(select(StaffSession).where(StaffSession.staff_id == person.id)).all()
    )
    return sorted(rows, key=lambda row: row.last_seen_at, reverse=True)


def end(session: Session, person: Person, session_id: UUID) -> bool:
    """Sign the person out of that session; False where they have none of that id."""
    table = _table(person)
    ended = session.execute(
        delete(table).where(_belongs_to(person), table.id == session_id).returning(table.id)
    )
    return ended.one_or_none() is not None


def end_others(session: Session, person: Person, keep: UUID) -> None:
    """Sign the person out everywhere but in the session `keep`."""
    table = _table(person)
    session.execute(delete(table).where(_belongs_to(person), table.id != keep))


def end_all(session: Session, person: Person) -> None:
    """Sign the person out everywhere."""
    session.execute(delete(_table(person)).where(_belongs_to(person)))


def _table(person: Person) -> type[UserSession] | type[StaffSession]:
    return UserSession if isinstance(person, User) else StaffSession


def _belongs_to(person: Person) -> ColumnElement[bool]:
    return (
        UserSession.user_id == person.id if isinstance(person, User) else StaffSession.staff_id == person.id
    )
