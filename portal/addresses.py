"""E-mail addresses: verified, changed, taken back; and the password that is forgotten and reset by one.

Whatever ends a theft ends every session as well. `session` is an operator session where a link brought the person.
"""

from datetime import timedelta

from sqlalchemy.orm import Session

from core import audit
from core.clock import now
from core.config import get_settings
from core.models.account_mail import MailKind, StaffMail, UserMail
from core.models.staff import StaffMember
from core.models.users import User
from core.passwords import hash_password
from core.tenancy import ROLE_PERMISSIONS, Actor, ActorKind, TenantScope
from portal import account_mail, accounts, second_factor, sign_ins
from portal.accounts import AccountError

_SUSPECT = timedelta(days=7)

Person = User | StaffMember
Mail = UserMail | StaffMail


def is_verification_asked() -> bool:
    """Whether people are to verify their addresses: only where a mail server could bring them the link."""
    return bool(get_settings().smtp_url)


def is_verified(user: User) -> bool:
    """Whether the user may do more than look around."""
    return user.email_verified_at is not None or not is_verification_asked()


def ask_to_verify(session: Session, user: Person) -> None:
    """Mail the user a link that verifies their address, where that is asked for and not done."""
    if isinstance(user, User) and not is_verified(user):
        account_mail.send(session, user, MailKind.VERIFY_ADDRESS)


def ask_to_change(session: Session, user: Person, address: str) -> None:
    """Mail a link to the address that the user wants; until it is opened, nothing changes.

    Whether the address is somebody's is not said here, but to whoever reads its mail. Raises AccountError for one
    that is none, for the user's own, and for staff.
    """
    if isinstance(user, StaffMember):
        raise AccountError("email", "The operator's staff keep the address that they were made with.")
    wanted = accounts.normalise_email(address)
    if wanted == user.email:
        raise AccountError("email", "This is your address already.")
    account_mail.send(session, user, MailKind.CONFIRM_NEW_ADDRESS, wanted)


def confirm(session: Session, mail: Mail, user: User) -> None:
    """Do what the link of a mail is for that went to the user's address, or to the one they want. Raises AccountError."""
    if mail.kind is MailKind.VERIFY_ADDRESS:
        if mail.address != user.email:
            raise AccountError("email", "Your address is another by now. Verify that one.")
        _record(session, user, "email_verified")
    else:
        before, user.email = user.email, accounts.free_address(session, mail.address)
        _record(session, user, "email_changed", {"from": before, "to": user.email})
        # Whoever reads what goes to the old address must not get in by it, except back.
        account_mail.cancel(session, user, MailKind.RESET_PASSWORD, MailKind.VERIFY_ADDRESS)
        # An address that was never shown to be the person's, mistyped perhaps, is no way back to their account.
        if user.email_verified_at is not None:
            account_mail.send(session, user, MailKind.ADDRESS_CHANGED, before)
    user.email_verified_at = mail.used_at = now()


def take_back(session: Session, mail: Mail, user: User, password: str) -> None:
    """Give the account back to whoever had it before its address was changed, with a new password.

    All sessions end, other links stop working, and second factors go that were added in the week before the change or
    since: a thief adds one first. Raises AccountError.
    """
    accounts.check_password(password, mail.address, user.name)
    before = user.email
    if before != mail.address:
        user.email = accounts.free_address(session, mail.address)
    user.password_hash = hash_password(password)
    user.email_verified_at = mail.used_at = now()
    second_factor.forget_since(session, user, mail.created_at - _SUSPECT)
    sign_ins.end_all(session, user)
    account_mail.cancel_links(session, user, since=mail.created_at)
    _record(session, user, "email_taken_back", {"from": before, "to": user.email})


def ask_to_reset(session: Session, address: str) -> None:
    """Mail a link to whoever has that address, by which they choose a new password; to nobody where nobody has it.

    `session` is an operator session.
    """
    person = accounts.find_person(session, address)
    if person is not None:
        account_mail.send(session, person, MailKind.RESET_PASSWORD)


def reset_password(session: Session, mail: Mail, person: Person, password: str) -> None:
    """Give the person the password, and sign them out everywhere. A second factor is still asked for.

    Raises AccountError for a password that is no good.
    """
    accounts.check_password(password, person.email, person.name)
    person.password_hash = hash_password(password)
    mail.used_at = now()
    if isinstance(person, User) and mail.address == person.email:
        person.email_verified_at = person.email_verified_at or now()
    sign_ins.end_all(session, person)
    account_mail.send(session, person, MailKind.PASSWORD_CHANGED)
    _record(session, person, "password_reset")


def _record(session: Session, person: Person, action: str, detail: dict[str, str] | None = None) -> None:
    """Note in the audit log what the person did by a link, signed in or not."""
    if isinstance(person, User):
        actor = Actor(ActorKind.USER, person.id, person.email)
        scope = TenantScope(person.tenant_id, actor, ROLE_PERMISSIONS[person.role])
        audit.record(session, scope, f"member.{action}", person, detail)
    else:
        actor = Actor(ActorKind.STAFF, person.id, person.email)
        audit.record_staff(session, actor, f"staff.{action}", "staff", person.id, detail)
