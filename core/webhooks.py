"""Webhooks: events that we tell an address of a tenant's, signed.

Signatures are those of standardwebhooks.com, which OpenAI's client checks with `client.webhooks.unwrap`. An address is
looked up once, refused where it is not public, and the connection goes to exactly the address that was looked at, so
that nobody reaches our own network by us. Redirects are not followed.
"""

import base64
import hmac
import json
import socket
import ssl
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from core.clock import now
from core.config import get_settings
from core.crypto import TenantKey, derive_key

SECONDS = 10.0
"""How long an address may take to connect, and again to answer."""

_PURPOSE = "adaptary webhooks v1"
_TRANSLATED = IPv6Network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80}


class InvalidUrl(ValueError):
    """No webhook may go there."""


class Undelivered(Exception):
    """The address is not public, does not answer, or not with 2xx."""


def check_url(url: str) -> str:
    """`url`, if a webhook may go there. Raises InvalidUrl."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        raise InvalidUrl from None
    schemes = ("https",) if get_settings().is_production else ("https", "http")
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if (
        parts.scheme not in schemes
        or not parts.hostname
        or "@" in parts.netloc
        or not (has_port and is_plain)
    ):
        raise InvalidUrl
    return url


def signing_secret(key: TenantKey) -> str:
    """What a tenant's webhooks are signed with: `whsec_` and 32 bytes in base64."""
    return f"whsec_{base64.b64encode(derive_key(key.data_key, _PURPOSE)).decode()}"


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
        sock = socket.create_connection((address, port), timeout=SECONDS)
        if parts.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except OSError as error:
        raise Undelivered(type(error).__name__) from None
    connection = HTTPConnection(host, port, timeout=SECONDS)
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
