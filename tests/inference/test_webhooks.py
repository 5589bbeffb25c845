"""Webhooks of batches: signed as OpenAI's client checks, told again until they arrive, and never to our own network."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai
import pytest
from sqlalchemy import select, update

from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.batches import Batch
from core.queues import Queue
from core.storage import tenant_key
from core.webhooks import Undelivered, find_address, signing_secret
from inference.gateway.batches import webhooks
from inference.gateway.errors import ApiError
from portal import periodic
from tests.api.workers import work_off
from tests.inference.test_batches import app, create, question  # noqa: F401 - a fixture and what goes with it


class Receiver(HTTPServer):
    """A tenant's server: what was posted to it; it answers each with the next of `statuses`, and then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?of=batches"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def secret_of(app) -> str:  # noqa: F811
    with tenant_session(app.scope) as session:
        return signing_secret(tenant_key(session, app.scope.tenant_id))


def due(app):  # noqa: F811
    with tenant_session(app.scope) as session:
        return session.scalars(select(Batch.webhook_due_at)).one()


def test_a_batch_that_has_ended_says_so_signed_as_openais_client_checks(app, receiver):  # noqa: F811
    batch = create(app, [question(0)], metadata={"webhook_url": receiver.url})
    work_off(Queue.BATCHES)
    [(headers, body)] = receiver.got
    event = app.openai.webhooks.unwrap(body, headers, secret=secret_of(app))
    assert (event.type, event.data.id) == ("batch.completed", batch.id)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        app.openai.webhooks.unwrap(body + b" ", headers, secret=secret_of(app))
    assert due(app) is None


@pytest.mark.parametrize("status", [500, 302])
def test_a_webhook_that_is_not_taken_is_sent_again_and_follows_no_redirect(app, receiver, status):  # noqa: F811
    receiver.statuses = [status]
    create(app, [question(0)], metadata={"webhook_url": receiver.url})
    work_off(Queue.BATCHES)
    assert len(receiver.got) == 1
    assert due(app) > now()
    with operator_session("test") as session:
        session.execute(update(Batch).values(webhook_due_at=now()))
        session.commit()
    periodic.requeue_batches()
    work_off(Queue.BATCHES)
    first, second = (headers["webhook-id"] for headers, _ in receiver.got)
    assert first == second
    assert due(app) is None


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "https://user:pass@a.example/", "https:///x", "https://a b/"]
)
def test_what_is_no_address_is_refused(app, url):  # noqa: F811
    with pytest.raises(openai.BadRequestError, match="webhook_url"):
        create(app, [question(0)], metadata={"webhook_url": url})


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "224.0.0.1",
    ],
)
def test_an_address_that_is_not_public_is_not_reached(host):
    with pytest.raises(Undelivered, match="public"):
        find_address(host, 443, public=True)


def test_in_production_an_address_has_to_be_https(services, monkeypatch):
    monkeypatch.setenv("ADAPTARY_ENV", "production")
    monkeypatch.setenv("PORTAL_URL", "https://portal.example")
    monkeypatch.setenv("API_URL", "https://api.example")
    get_settings.cache_clear()
    try:
        assert webhooks.check_url("https://a.example/") == "https://a.example/"
        with pytest.raises(ApiError):
            webhooks.check_url("http://a.example/")
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
