"""The way to Stripe: the one module that imports its library.

Requests and answers are plain values, by the names that Stripe's reference has for version `API_VERSION`; the
modules beside this one make of them what the rest of the code uses. A request is sent once: who asks retries, with the
idempotency key that makes Stripe do the work once.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import stripe

from core.config import Settings, get_settings

API_VERSION = "2026-05-27.dahlia"

_CONNECT_SECONDS, _READ_SECONDS = 5, 30
_PAGE = 100

stripe.enable_telemetry = False
stripe.log = None  # the library's own log has what requests say, e-mail addresses among it

Params = Mapping[str, Any]
Answer = dict[str, Any]
"""One of Stripe's objects; numbers with a point are Decimal."""


class StripeProblem(Exception):
    """Stripe did not do what it was asked.

    The message is for staff's eyes, without a key. A log gets `code`: in words, Stripe may quote what it was given.
    """

    code = ""


class StripeUnavailable(StripeProblem):
    """No answer, or one that says to try again. It may have done the work: ask again with the same idempotency key."""


class StripeRefused(StripeProblem):
    """Stripe will not do it, however often it is asked. `code` is Stripe's, `param` the parameter it names."""

    def __init__(self, message: str, code: str = "", param: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class StripeMissing(StripeRefused):
    """Stripe has no such object."""


class CardDeclined(StripeRefused):
    """The bank refused the card; the message is fit to show its owner."""


class BadSignature(StripeProblem):
    """A webhook's signature is wrong, or older than five minutes."""


class StripeClient:
    """Stripe's API under one account's key."""

    def __init__(self, api_key: str, http_client: stripe.HTTPClient) -> None:
        self._client = stripe.StripeClient(
            api_key, stripe_version=API_VERSION, max_network_retries=0, http_client=http_client
        )

    def get(self, path: str, params: Params | None = None) -> Answer:
        """Read an object. Raises StripeMissing, StripeRefused or StripeUnavailable."""
        return self._request("get", path, params)

    def each(self, path: str, params: Params | None = None) -> Iterator[Answer]:
        """Read a whole list, page by page. Raises what `get` raises."""
        query = {"limit": _PAGE, **(params or {})}
        while True:
            page = self.get(path, query)
            yield from page["data"]
            if not page["has_more"]:
                return
            query["starting_after"] = page["data"][-1]["id"]

    def post(self, path: str, params: Params | None = None, *, key: str) -> Answer:
        """Make or change an object, once for each idempotency `key`, which Stripe keeps for at least 24 hours.

        Raises what `get` raises, and CardDeclined.
        """
        return self._request("post", path, params, key)

    def delete(self, path: str) -> Answer:
        """Delete an object. Raises what `get` raises."""
        return self._request("delete", path)

    def _request(
        self, method: str, path: str, params: Params | None = None, key: str | None = None
    ) -> Answer:
        try:
            response = self._client.raw_request(method, path, idempotency_key=key, **(params or {}))
        except stripe.StripeError as error:
            raise _problem(error) from None
        answer: Answer = json.loads(response.body, parse_float=Decimal)
        return answer


def stripe_client(settings: Settings | None = None) -> StripeClient | None:
    """The client of this deployment's Stripe account; None where it has no key and is paid by bank transfer."""
    key = (settings or get_settings()).stripe_secret_key
    return StripeClient(key, make_http_client()) if key else None


def get_stripe_client() -> StripeClient:
    """`stripe_client` where only work for Stripe comes. Raises StripeRefused without a key."""
    client = stripe_client()
    if client is None:
        raise StripeRefused("There is no STRIPE_SECRET_KEY.")
    return client


def make_http_client() -> stripe.HTTPClient:
    """What carries the requests. Tests put a stand-in for Stripe in its place."""
    return stripe.RequestsClient(timeout=(_CONNECT_SECONDS, _READ_SECONDS))


def verify_signature(payload: bytes, header: str, secret: str) -> None:
    """Check that Stripe signed a webhook's raw body within the last five minutes. Raises BadSignature."""
    try:
        stripe.WebhookSignature.verify_header(  # type: ignore[no-untyped-call]
            payload.decode(), header, secret, tolerance=stripe.Webhook.DEFAULT_TOLERANCE
        )
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        raise BadSignature("The signature is not Stripe's, or older than five minutes.") from None


def _problem(error: stripe.StripeError) -> StripeProblem:
    code, param = error.code or "", str(getattr(error, "param", None) or "")
    status = error.http_status or 0
    message = error.user_message or "Stripe gave no reason."
    if isinstance(error, stripe.APIConnectionError):
        # The library's message has the address and may have the request: what failed is enough.
        return StripeUnavailable("Stripe did not answer.")
    if isinstance(error, stripe.RateLimitError) or status == 409 or (status >= 500 and status != 501):
        return StripeUnavailable(f"Stripe could not do it now ({status}).")
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return StripeRefused("Stripe refuses STRIPE_SECRET_KEY, or what it may do.", code or "authentication")
    if isinstance(error, stripe.CardError):
        return CardDeclined(message, code, param)
    if isinstance(error, stripe.IdempotencyError):
        return StripeRefused("The idempotency key was used for something else.", code or "idempotency_error")
    if status == 404 and code == "resource_missing":
        return StripeMissing(message, code, param)
    return StripeRefused(message, code, param)
