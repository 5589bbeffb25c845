"""What mails about somebody's own account say, and how long the links in them are good."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from core.config import get_settings
from core.models.account_mail import MailKind, StaffMail, UserMail


@dataclass(frozen=True, slots=True)
class _Text:
    subject: str
    body: str
    path: str | None = None


LIFETIMES: Mapping[MailKind, timedelta] = {
    MailKind.VERIFY_ADDRESS: timedelta(days=7),
    MailKind.CONFIRM_NEW_ADDRESS: timedelta(days=1),
    MailKind.ADDRESS_CHANGED: timedelta(days=7),
    MailKind.RESET_PASSWORD: timedelta(hours=1),
}
"""Of the links, from when the mail was asked for; a mail of a kind that is not here has none."""

_NOT_YOU = (
    "If that was not you, change your password at once: {portal}/forgot-password\nThen tell your admin."
)
_TEXTS: Mapping[MailKind, _Text] = {
    MailKind.VERIFY_ADDRESS: _Text(
        "Verify your e-mail address",
        "Open this link to show that this address is yours:\n\n{link}\n\n"
        "It works once, for 7 days. If you did not sign up at Adaptary, leave it alone.",
        "/links/address",
    ),
    MailKind.CONFIRM_NEW_ADDRESS: _Text(
        "Confirm your new e-mail address",
        "Open this link to sign in with this address from now on:\n\n{link}\n\n"
        "It works once, for a day. Until then nothing changes. If you did not ask for it, leave it alone.",
        "/links/address",
    ),
    MailKind.ADDRESS_CHANGED: _Text(
        "Your e-mail address was changed",
        "You sign in to Adaptary with another address from now on, and get no more mail here.\n\n"
        "If that was not you, take your account back by this link. It works once, for 7 days:\n\n{link}",
        "/links/take-back",
    ),
    MailKind.RESET_PASSWORD: _Text(
        "Choose a new password",
        "Open this link to choose a new password:\n\n{link}\n\n"
        "It works once, for an hour. If you did not ask for it, leave it alone: your password stays as it is.",
        "/links/password",
    ),
    MailKind.PASSWORD_CHANGED: _Text(
        "Your password was changed",
        f"The password of your account was changed, and everybody else who used it was signed out.\n\n{_NOT_YOU}",
    ),
    MailKind.PASSKEY_ADDED: _Text(
        "A passkey was added to your account",
        f"From now on it signs you in: {{portal}}/account/passkeys\n\n{_NOT_YOU}",
    ),
    MailKind.PASSKEY_REMOVED: _Text(
        "A passkey was removed from your account",
        f"It signs you in no more. The others are here: {{portal}}/account/passkeys\n\n{_NOT_YOU}",
    ),
    MailKind.CODES_TURNED_ON: _Text(
        "Codes are asked for when you sign in",
        f"Your account has an app for codes, which are asked for after your password: {{portal}}/account\n\n{_NOT_YOU}",
    ),
    MailKind.CODES_TURNED_OFF: _Text(
        "No codes are asked for any more",
        f"Your account has no app for codes any more. Set one up again here: {{portal}}/account\n\n{_NOT_YOU}",
    ),
    MailKind.SECOND_FACTOR_TAKEN_AWAY: _Text(
        "Your second factor was taken away",
        "Somebody who may do so has taken your second factor away: codes, passkeys and recovery codes.\n"
        "You sign in with your password alone until you set another up: {portal}/account\n\n"
        "If you did not ask for that, set one up at once and ask who did.",
    ),
}


def text_of(mail: UserMail | StaffMail, token: str | None) -> tuple[str, str]:
    """The subject and the text of a mail; `token` is that of its link, where it has one."""
    text, portal = _TEXTS[mail.kind], get_settings().portal_url
    link = f"{portal}{text.path}/{token}" if text.path else ""
    return f"Adaptary: {text.subject}", text.body.format(link=link, portal=portal) + "\n"
