"""E-mail: by SMTP where SMTP_URL names a server, and otherwise into a folder, for a developer to read."""

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import uuid4

from core.clock import now
from core.config import get_settings

_SECONDS = 15.0
_PORTS = {"smtp": 587, "smtps": 465}


class Undelivered(Exception):
    """The server does not take the message; what this says names no address."""


def send(to: Sequence[str], subject: str, body: str) -> None:
    """Send plain text to all of `to` at once. Raises Undelivered, and ValueError for a line break in `subject`."""
    settings = get_settings()
    message = EmailMessage()
    message["From"] = settings.mail_from
    message["To"] = ", ".join(to)
    message["Subject"] = subject
    message["Date"] = format_datetime(now())
    message["Message-ID"] = make_msgid(domain="adaptary")
    message.set_content(body)
    if settings.smtp_url:
        _send_by_smtp(urlsplit(settings.smtp_url), message)
    else:
        _put_into(settings.state_dir / "mail", message)


def _send_by_smtp(server: SplitResult, message: EmailMessage) -> None:
    host, port = server.hostname or "", server.port or _PORTS[server.scheme]
    context = ssl.create_default_context()
    try:
        if server.scheme == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=context)
        else:
            connection = smtplib.SMTP(host, port, timeout=_SECONDS)
        with connection:
            connection.ehlo()
            # A password goes over no open line.
            if server.scheme == "smtp" and (connection.has_extn("starttls") or server.password):
                connection.starttls(context=context)
            if server.password:
                connection.login(unquote(server.username or ""), unquote(server.password))
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        # Its own words may name the addresses.
        raise Undelivered(type(error).__name__) from None


def _put_into(folder: Path, message: EmailMessage) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{now():%Y%m%dT%H%M%S}-{uuid4().hex[:8]}.eml"
    (folder / name).write_bytes(bytes(message))
