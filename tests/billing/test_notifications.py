"""Notifications: told once, by e-mail to those who look after the money and by webhook, again until they arrive."""

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage
from pathlib import Path

import openai
import pytest
from sqlalchemy import select, update

from billing import notifications
from billing.notifications import Event
from core import mail
from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.notifications import Notification
from core.models.users import User
from core.queues import Queue, rq_queue
from core.storage import tenant_key
from core.tenancy import Role, TenantScope, system_scope
from core.webhooks import signing_secret
from tests.api.workers import work_off
from tests.inference.test_webhooks import receiver  # noqa: F401 - a fixture


@pytest.fixture
def scope(make_tenant) -> TenantScope:
    return system_scope(make_tenant().id, "test")


@pytest.fixture(autouse=True)
def no_mail_yet(services):
    for message in mailbox():
        message.unlink()


def mailbox() -> list[Path]:
    return sorted((get_settings().state_dir / "mail").glob("*.eml"))


def read(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def tell(scope: TenantScope, url: str | None = None, reference: str = "one") -> bool:
    with tenant_session(scope) as session:
        is_new = notifications.notify(
            session,
            scope.tenant_id,
            Event.BUDGET_THRESHOLD,
            reference,
            subject="80 % of the monthly budget is spent",
            body="$0.80 of $1.00 is spent.\n",
            payload={"threshold_percent": 80},
            webhook_url=url,
        )
        session.commit()
    return is_new


def told(scope: TenantScope) -> Notification:
    with tenant_session(scope) as session:
        return session.scalars(select(Notification)).one()


def make_due(scope: TenantScope) -> None:
    with tenant_session(scope) as session:
        session.execute(update(Notification).values(due_at=now()))
        session.commit()


def test_admins_and_finance_are_told_by_one_mail_and_nobody_else(scope, password_hash):
    with tenant_session(scope) as session:
        for role in (Role.FINANCE, Role.DEVELOPER, Role.VIEWER):
            address = f"{role}@example.com"
            row = User(
                tenant_id=scope.tenant_id, name="G", email=address, password_hash=password_hash, role=role
            )
            session.add(row)
        gone = User(
            tenant_id=scope.tenant_id,
            name="G",
            email="gone@example.com",
            password_hash=password_hash,
            role=Role.ADMIN,
            deactivated_at=now(),
        )
        session.add(gone)
        session.commit()
    tell(scope)
    work_off(Queue.BATCHES)
    (path,) = mailbox()
    message = read(path)
    recipients = {str(address) for address in message["To"].addresses}
    assert "finance@example.com" in recipients
    assert len(recipients) == 2  # and the admin who signed up
    assert message["Subject"] == "80 % of the monthly budget is spent"
    assert "$0.80" in message.get_content()
    assert (told(scope).due_at, told(scope).attempts) == (None, 1)


def test_to_notify_again_does_nothing(scope):
    assert tell(scope) is True
    assert tell(scope) is False
    assert tell(scope, reference="another") is True


def test_a_webhook_is_signed_and_tried_again_without_a_second_mail(scope, receiver):  # noqa: F811
    receiver.statuses = [500]
    tell(scope, receiver.url)
    work_off(Queue.BATCHES)
    assert told(scope).webhook_sent_at is None
    make_due(scope)
    with operator_session("test") as session:
        notifications.requeue_due(session)
        session.commit()
    work_off(Queue.BATCHES)
    assert len(mailbox()) == 1
    assert told(scope).due_at is None
    headers, body = receiver.got[-1]
    with tenant_session(scope) as session:
        secret = signing_secret(tenant_key(session, scope.tenant_id))
    with openai.OpenAI(api_key="unused") as client:
        client.webhooks.verify_signature(body.decode(), headers, secret=secret)
    assert b'"budget.threshold_reached"' in body


def test_one_whose_time_has_not_come_is_not_sent(scope):
    tell(scope)
    rq_queue(Queue.BATCHES).empty()
    with tenant_session(scope) as session:
        session.execute(update(Notification).values(due_at=None))
        session.commit()
    notifications.deliver(str(scope.tenant_id), str(told(scope).id))
    assert mailbox() == []


class _Smtp(socketserver.StreamRequestHandler):
    """As much of a mail server as one message needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            command = line.split(b" ")[0].strip().upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.got.append(b"".join(lines))  # type: ignore[attr-defined]
                self.wfile.write(self.server.answer)  # type: ignore[attr-defined]
            elif command == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 fine\r\n")


@pytest.fixture
def smtp(monkeypatch, services):
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp)
    server.got, server.answer = [], b"250 taken\r\n"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{server.server_address[1]}")
    get_settings.cache_clear()
    yield server
    server.shutdown()
    server.server_close()
    monkeypatch.undo()
    get_settings.cache_clear()


def test_with_a_mail_server_the_message_goes_there(smtp):
    mail.send(["ada@example.com"], "Hello", "Grüße\n")
    (got,) = smtp.got
    message = email.message_from_bytes(got, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert (message["Subject"], message.get_content().strip()) == ("Hello", "Grüße")
    assert mailbox() == []


def test_a_server_that_refuses_leaves_it_undelivered_and_names_nobody(smtp):
    smtp.answer = b"550 no ada@example.com here\r\n"
    with pytest.raises(mail.Undelivered) as undelivered:
        mail.send(["ada@example.com"], "Hello", "Hello\n")
    assert "ada" not in str(undelivered.value)


def test_a_password_is_not_sent_over_an_open_line(smtp, monkeypatch):
    monkeypatch.setenv("SMTP_URL", get_settings().smtp_url.replace("//", "//ada:secret@"))
    get_settings.cache_clear()
    with pytest.raises(mail.Undelivered):
        mail.send(["ada@example.com"], "Hello", "Hello\n")
    assert smtp.got == []
