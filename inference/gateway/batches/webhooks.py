"""Webhooks: a batch that has ended says so to an address of its tenant's, at least once, signed.

Signatures are those of standardwebhooks.com, which OpenAI's client checks with `client.webhooks.unwrap`. An address is
looked up once, refused where it is not public, and the connection goes to exactly the address that was looked at, so
that nobody reaches our own network by us. Redirects are not followed.
"""

import base64
import hmac
import json
import socket
import ssl
from datetime import timedelta
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.clock import now
from core.config import get_settings
from core.crypto import TenantKey, derive_key
from core.db import tenant_session
from core.models.batches import Batch
from core.queues import Queue, enqueue_after_commit, rq_queue
from core.storage import tenant_key
from core.tenancy import system_scope
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.public_ids import Prefix, public_id

log = structlog.get_logger(__name__)

DELIVER = "inference.gateway.batches.webhooks.deliver"
FIELD = "webhook_url"
"""The name in a batch's metadata that gives the address."""

_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360))
_SECONDS = 10.0
_PURPOSE = "adaptary webhooks v1"
_TRANSLATED = IPv6Network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80}


class Undelivered(Exception):
    """The address is not public, does not answer, or not with 2xx."""


def check_url(url: str) -> str:
    """`url`, if a webhook may go there. Raises ApiError."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        raise _wrong_url() from None
    schemes = ("https",) if get_settings().is_production else ("https", "http")
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if (
        parts.scheme not in schemes
        or not parts.hostname
        or "@" in parts.netloc
        or not (has_port and is_plain)
    ):
        raise _wrong_url()
    return url


def _wrong_url() -> ApiError:
    message = "metadata.webhook_url is not an address like https://app.example/hook."
    return ApiError(400, ErrorType.INVALID_REQUEST, "invalid_body", message, param="metadata.webhook_url")


def signing_secret(key: TenantKey) -> str:
    """What a tenant's webhooks are signed with: `whsec_` and 32 bytes in base64."""
    return f"whsec_{base64.b64encode(derive_key(key.data_key, _PURPOSE)).decode()}"


def ring_after_commit(session: Session, batch: Batch) -> None:
    """Have a worker deliver the batch's webhook once `session` has committed."""
    enqueue_after_commit(
        session, Queue.BATCHES, DELIVER, str(batch.tenant_id), str(batch.id), timeout=int(_SECONDS * 6)
    )


def requeue_due(session: Session) -> None:
    """Ring for webhooks whose time has come. `session` is an operator session."""
    if rq_queue(Queue.BATCHES).is_empty():
        for batch in session.scalars(select(Batch).where(Batch.webhook_due_at <= now())):
            ring_after_commit(session, batch)


def deliver(tenant_id: str, batch_id: str) -> None:
    """Send the batch's webhook, if it is due; RQ's entry point."""
    scope = system_scope(UUID(tenant_id), "worker")
    with tenant_session(scope) as session:
        batch = session.get_one(Batch, UUID(batch_id), with_for_update=True)
        if batch.webhook_due_at is None or batch.webhook_due_at > now() or batch.webhook_url is None:
            return
        # The next attempt's time is noted before this one, which may be cut off.
        last = batch.webhook_attempts >= len(_WAITS)
        batch.webhook_due_at = None if last else now() + _WAITS[batch.webhook_attempts]
        batch.webhook_attempts += 1
        secret = signing_secret(tenant_key(session, scope.tenant_id))
        session.commit()
    try:
        send(batch.webhook_url, _event(batch), secret)
    except Undelivered as error:
        log.warning("webhook_undelivered", tenant_id=tenant_id, batch_id=batch_id, reason=str(error))
        return
    with tenant_session(scope) as session:
        session.get_one(Batch, batch.id).webhook_due_at = None
        session.commit()


def _event(batch: Batch) -> dict[str, object]:
    return {
        "object": "event",
        "id": f"evt_{batch.id.hex}",
        "type": f"batch.{batch.status.value}",
        "created_at": int((batch.finished_at or now()).timestamp()),
        "data": {"id": public_id(Prefix.BATCH, batch.id)},
    }


def send(url: str, event: dict[str, object], secret: str) -> None:
    """POST `event`, signed. Raises Undelivered."""
    parts = urlsplit(url)
    body = json.dumps(event).encode()
    connection = _connect(parts)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, _headers(str(event["id"]), body, secret))
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise Undelivered(type(error).__name__) from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise Undelivered(f"status {status}")


def _headers(event_id: str, body: bytes, secret: str) -> dict[str, str]:
    moment = str(int(now().timestamp()))
    signed = f"{event_id}.{moment}.".encode() + body
    signature = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, sha256)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Adaptary",
        "webhook-id": event_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def _connect(parts: SplitResult) -> HTTPConnection:
    """A connection to the one address that was looked at."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        address = find_address(host, port, public=get_settings().is_production)
        sock = socket.create_connection((address, port), timeout=_SECONDS)
        if parts.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except OSError as error:
        raise Undelivered(type(error).__name__) from None
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    connection.sock = sock
    return connection


def find_address(host: str, port: int, *, public: bool) -> str:
    """The IP address of `host`. Raises Undelivered where `public` and one that it has is not, and OSError."""
    addresses = [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if public and not all(map(_is_public, addresses)):
        raise Undelivered("not a public address")
    return addresses[0]


def _is_public(address: str) -> bool:
    found = ip_address(address)
    # What wraps an IPv4 address in one of IPv6 may lead to a private one.
    wrapped = found.version == 6 and bool(
        found.ipv4_mapped or found.sixtofour or found.teredo or found in _TRANSLATED
    )
    return found.is_global and not found.is_multicast and not wrapped
