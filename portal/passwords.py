"""The password of somebody who is signed in: changed, and asked for again."""

from sqlalchemy.orm import Session

from core.models.account_mail import MailKind
from core.models.staff import StaffMember
from core.models.users import User
from core.passwords import hash_password, verify_password
from portal import account_mail, sign_ins
from portal.accounts import AccountError, check_password
from portal.identity import SignedInStaff, SignedInUser
from portal.personal_log import record


def change_password(
    session: Session, identity: SignedInUser | SignedInStaff, *, current: str, new: str
) -> None:
    """Give the signed-in person the password `new`, and sign them out everywhere else.

    `session` sees the person's row. Raises AccountError if `current` is not their password, or `new` is no good one.
    """
    person = locked(session, identity)
    if not verify_password(person.password_hash, current):
        raise AccountError("current", "This is not your password.")
    if new == current:
        raise AccountError("password", "Choose another than the one you have.")
    person.password_hash = hash_password(check_password(new, person.email, person.name))
    sign_ins.end_others(session, person, identity.session_id)
    account_mail.send(session, person, MailKind.PASSWORD_CHANGED)
    record(session, identity, "password_changed")


def confirm(person: User | StaffMember, identity: SignedInUser | SignedInStaff, password: str | None) -> None:
    """Have the signed-in person show that it is them, unless they have just signed in.

    Raises AccountError where `password` is not theirs.
    """
    if not identity.is_fresh and not verify_password(person.password_hash, password or ""):
        raise AccountError("current", "This is not your password.")


def locked(session: Session, identity: SignedInUser | SignedInStaff) -> User | StaffMember:
    """The signed-in person's own row, which nobody else changes until `session` ends its transaction."""
    if isinstance(identity, SignedInUser):
        return session.get_one(User, identity.person.id, with_for_update=True)
    return session.get_one(StaffMember, identity.person.id, with_for_update=True)
