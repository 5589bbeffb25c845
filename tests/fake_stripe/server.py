"""A stand-in for Stripe, in the place of the HTTP client under Stripe's library.

Every request's parameters and every answer are held to Stripe's OpenAPI file. What it does not model it answers with
501, so that no test passes by a guess.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import stripe

from tests.fake_stripe import (
    cards,
    catalogue,
    checkout,
    clocks,
    credit_notes,
    customers,
    events,
    invoice_items,
    invoices,
    meters,
    openapi,
    payments,
    routes,
    subscriptions,
)
from tests.fake_stripe.account import Account, Object, expand, shown, snapshot
from tests.fake_stripe.failures import Failure, Failures
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.lanes import Lanes
from tests.fake_stripe.wire import read_params

MODELLED = (
    cards, catalogue, checkout, clocks, credit_notes, customers, events, invoice_items, invoices, meters, payments,
    subscriptions,
)  # fmt: skip
"""Their import registers what they answer."""


_KEYS_SECONDS = 24 * 3600


class WrongAnswer(AssertionError):
    """The stand-in itself answered what Stripe's OpenAPI file does not allow."""


@dataclass(frozen=True)
class Request:
    """A request as it was made."""

    method: str
    path: str
    params: Object
    idempotency_key: str | None


@dataclass(frozen=True)
class _Kept:
    """The answer to an idempotency key, and the time until which it is given again."""

    request: str
    status: int
    answer: Object
    until: int


class FakeStripe(stripe.HTTPClient):
    """Stripe in memory. `requests` are those that arrived; `account` has what came of them.

    `under_way` is called with each request's path before it is answered: a test may hold one up in it.
    """

    name = "fake"

    def __init__(self) -> None:
        super().__init__()
        self.account = Account()
        self.failures = Failures()
        self.requests: list[Request] = []
        self.under_way: Callable[[str], None] = lambda _path: None
        self._answers: dict[str, _Kept] = {}
        self._lock = threading.RLock()
        self._lanes = Lanes()

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        """Answer one request: body, status and headers. Raises APIConnectionError for a planned loss."""
        path, params = urlsplit(url).path, read_params(method, url, post_data)
        with self._lanes.entered(meters.lane(path, params)) as is_free:
            self.under_way(path)
            with self._lock:
                if not is_free:
                    return self._write(429, StripeFault.too_many().body)
                return self._meet_failures(method, path, params, headers or {})

    def _meet_failures(
        self, method: str, path: str, params: Object, headers: Mapping[str, str]
    ) -> tuple[str, int, Mapping[str, str]]:
        failure = self.failures.take(method, path)
        if failure in {Failure.TIMEOUT_BEFORE, Failure.RESET}:
            raise stripe.APIConnectionError(f"{failure}", should_retry=True)
        if failure is Failure.RATE_LIMITED:
            return self._write(429, StripeFault.too_many().body)
        if failure is Failure.BROKEN:
            return self._write(500, StripeFault(500, "api_error", "Something broke.").body)
        status, answer = self._answer(method, path, params, headers)
        if failure is Failure.TIMEOUT_AFTER:
            raise stripe.APIConnectionError(f"{failure}", should_retry=True)
        return self._write(status, answer)

    def close(self) -> None:
        """There is nothing to close."""

    def travel(self, to: int) -> None:
        """Let time pass for the whole account up to a moment, in seconds; what falls due in it happens."""
        with self._lock:
            clocks.travel(self.account, to)

    def complete_checkout(self, session_id: str, card: str = "pm_card_visa") -> str:
        """Give a test card on Checkout's page; returns where Stripe sends the person next."""
        with self._lock:
            return checkout.complete(self.account, session_id, card)

    def replace_card(self, customer_id: str, card: str = "pm_card_visa") -> None:
        """Give another card in the customer portal."""
        with self._lock:
            checkout.replace_card(self.account, customer_id, card)

    def count_meter_events(self) -> None:
        """Count the meter events that were held, and from now on at once."""
        with self._lock:
            self.account.holds_meter_events = False
            meters.count_events(self.account)

    def listen(self, listener: Callable[[Object], None]) -> None:
        """Have every event sent to a function, as it happens."""
        self.account.listeners.append(listener)

    def _write(self, status: int, answer: Object) -> tuple[str, int, Mapping[str, str]]:
        number = self.account.number("req")
        return json.dumps(answer), status, {"Request-Id": f"req_{number:08d}"}

    def _answer(self, method: str, path: str, raw: Object, headers: Mapping[str, str]) -> tuple[int, Object]:
        try:
            key = headers.get("Idempotency-Key") if method == "post" else None
            self.requests.append(Request(method, path, raw, key))
            self._check_headers(headers)
            return self._answer_once(method, path, raw, key)
        except StripeFault as fault:
            return fault.status, fault.body

    def _check_headers(self, headers: Mapping[str, str]) -> None:
        if not headers.get("Authorization", "").startswith("Bearer sk_test_"):
            raise StripeFault(401, "invalid_request_error", "Invalid API Key provided.")
        if headers.get("Stripe-Version") != openapi.version():
            raise StripeFault.not_modelled(f"version {headers.get('Stripe-Version')}")

    def _answer_once(self, method: str, path: str, raw: Object, key: str | None) -> tuple[int, Object]:
        """The first answer again for a key that was used; but a refusal of the parameters is not kept."""
        request = snapshot([method, path, raw])
        kept = self._answers.get(key or "")
        if kept is not None and self.account.now() < kept.until:
            if kept.request != request:
                message = "Keys for idempotent requests can only be used with the same parameters."
                raise StripeFault(400, "idempotency_error", message)
            return kept.status, kept.answer
        found = openapi.find_operation(method, path)
        if found is None:
            raise StripeFault(404, "invalid_request_error", f"Unrecognized request URL ({method}: {path}).")
        operation, variables = found
        route = routes.find_route(method, operation.path)
        if route is None:
            raise StripeFault.not_modelled(f"{method} {operation.path}")
        params = openapi.read(operation.takes, raw)
        self.account.idempotency_key = key
        status, answer = self._carry_out(route, operation, params, variables)
        if key is not None:
            self._answers[key] = _Kept(request, status, answer, self.account.now() + _KEYS_SECONDS)
        return status, answer

    def _carry_out(
        self, route: routes.Route, operation: openapi.Operation, params: Object, variables: dict[str, str]
    ) -> tuple[int, Object]:
        paths = params.pop("expand", [])
        try:
            made = route.answer(self.account, params, variables)
        except StripeFault as fault:
            return fault.status, fault.body
        answer = expand(self.account, shown(made), made, paths)
        wrong = openapi.problems(operation.answers, answer)
        if wrong:
            raise WrongAnswer(f"{operation.method} {operation.path}: {'; '.join(wrong[:5])}")
        return 200, answer
