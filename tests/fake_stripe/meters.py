"""Billing meters: what they are told, and what they count of it.

An event is answered with 200 whatever it says, but for one sent twice or of a time that Stripe does not take. Whether it counts
is found out afterwards, and an event of version 2 tells of those that do not.
"""

import re
from dataclasses import dataclass

from tests.fake_stripe.account import Account, Object, page
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import PAGE, answers

DEDUPLICATION_SECONDS = 24 * 3600
OLDEST_SECONDS = 35 * 24 * 3600
_AHEAD_SECONDS = 5 * 60
_WINDOWS = {"hour": 3600, "day": 86400}


@answers(
    "post",
    "/v1/billing/meters",
    "display_name event_name default_aggregation customer_mapping value_settings",
)
def create(account: Account, params: Object) -> Object:
    if account.of("billing.meter", event_name=params["event_name"], status="active"):
        raise StripeFault.invalid("An active meter has that event_name.", "event_name")
    defaults = {
        "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
        "value_settings": {"event_payload_key": "value"},
        "status": "active",
    }
    meter = account.new("billing.meter", "mtr", **{**defaults, **params}, updated=account.now())
    account.emit("billing.meter.created", meter)
    return meter


@answers("get", "/v1/billing/meters/{id}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    return account.get("billing.meter", key)


@answers("get", "/v1/billing/meters", PAGE, "status")
def list_all(account: Account, params: Object) -> Object:
    return page(account.of("billing.meter", status=params.get("status")), "/v1/billing/meters", params)


@answers("post", "/v1/billing/meters/{id}/deactivate")
def deactivate(account: Account, _params: Object, key: str) -> Object:
    meter = account.get("billing.meter", key)
    meter["status"] = "inactive"
    meter["status_transitions"]["deactivated_at"] = account.now()
    return meter


@answers("post", "/v1/billing/meters/{id}/reactivate")
def reactivate(account: Account, _params: Object, key: str) -> Object:
    meter = account.get("billing.meter", key)
    meter["status"] = "active"
    meter["status_transitions"]["deactivated_at"] = None
    return meter


def lane(path: str, raw: Object) -> tuple[str, str] | None:
    """What only one request may be about at a time: a customer and a meter's events. None for any other request.

    docs.stripe.com, record usage, Rate limits: one concurrent call per customer per meter.
    """
    if path != "/v1/billing/meter_events":
        return None
    payload = raw.get("payload")
    customer = payload.get("stripe_customer_id", "") if isinstance(payload, dict) else ""
    return str(raw.get("event_name")), customer


@answers("post", "/v1/billing/meter_events", "event_name identifier payload timestamp")
def create_event(account: Account, params: Object) -> Object:
    now = account.now(account.objects.get(params["payload"].get("stripe_customer_id", "")))
    identifier = params.get("identifier", f"meter-event-{account.number('meter-event')}")
    at = params.get("timestamp", now)
    if at < now - OLDEST_SECONDS:
        message = "The timestamp is more than 35 calendar days in the past."
        raise StripeFault.invalid(message, "timestamp", "timestamp_too_far_in_past")
    if at > now + _AHEAD_SECONDS:
        message = "The timestamp is more than 5 minutes in the future."
        raise StripeFault.invalid(message, "timestamp", "timestamp_in_future")
    for earlier in account.meter_events:
        if (
            earlier["identifier"] == identifier
            and account.now() < earlier["_received"] + DEDUPLICATION_SECONDS
        ):
            raise StripeFault.invalid(f"An event already exists with identifier {identifier}.", "identifier")
    event = {
        "object": "billing.meter_event",
        "created": now,
        "event_name": params["event_name"],
        "identifier": identifier,
        "livemode": False,
        "payload": params["payload"],
        "timestamp": at,
        "_received": account.now(),
        "_request": account.idempotency_key or identifier,
        "_counts": None,
    }
    account.meter_events.append(event)
    if not account.holds_meter_events:
        count_events(account)
    return event


def count_events(account: Account) -> None:
    """Find out which of the events that came in count, and report those that do not."""
    for event in account.meter_events:
        if event["_counts"] is None:
            problem = _problem(account, event)
            event["_counts"] = problem is None
            if problem is not None:
                _report(account, event, problem)


@dataclass(frozen=True)
class _Problem:
    code: str
    message: str
    meter: Object | None


def _problem(account: Account, event: Object) -> _Problem | None:
    meters = account.of("billing.meter", event_name=event["event_name"])
    if not meters:
        return _Problem("no_meter", f"No meter found for event name {event['event_name']}.", None)
    meter = meters[-1]
    payload = event["payload"]
    customer_key = meter["customer_mapping"]["event_payload_key"]
    value_key = meter["value_settings"]["event_payload_key"]
    if meter["status"] != "active":
        return _Problem("archived_meter", "The meter is inactive.", meter)
    if customer_key not in payload:
        message = f"Customer mapping key {customer_key} not found in payload."
        return _Problem("meter_event_no_customer_defined", message, meter)
    if account.objects.get(payload[customer_key], {}).get("object") != "customer":
        return _Problem("meter_event_customer_not_found", "Customer not found.", meter)
    if not re.fullmatch(r"-?\d+", payload.get(value_key, "")):
        return _Problem("meter_event_invalid_value", "The value is no whole number.", meter)
    return None


def _report(account: Account, event: Object, problem: _Problem) -> None:
    sample = {"error_message": problem.message, "request": {"identifier": event["_request"]}}
    kind = {"code": problem.code, "error_count": 1, "sample_errors": [sample]}
    data = {
        "developer_message_summary": "There is 1 invalid event",
        "reason": {"error_count": 1, "error_types": [kind]},
        "validation_start": "2026-01-01T00:00:00.000Z",
        "validation_end": "2026-01-01T00:00:10.000Z",
    }
    name = "error_report_triggered" if problem.meter else "no_meter_found"
    account.emit_thin(f"v1.billing.meter.{name}", data, problem.meter)


def usage(account: Account, meter: Object, customer: str, start: int, end: int) -> int:
    """What a meter has counted for a customer in `[start, end)`: whole units, never below zero."""
    customer_key = meter["customer_mapping"]["event_payload_key"]
    value_key = meter["value_settings"]["event_payload_key"]
    values = [
        int(event["payload"][value_key])
        for event in account.meter_events
        if event["_counts"]
        and event["event_name"] == meter["event_name"]
        and event["payload"][customer_key] == customer
        and start <= event["timestamp"] < end
    ]
    counted = len(values) if meter["default_aggregation"]["formula"] == "count" else sum(values)
    return max(0, counted)


@answers(
    "get",
    "/v1/billing/meters/{id}/event_summaries",
    PAGE,
    "customer start_time end_time value_grouping_window",
)
def list_summaries(account: Account, params: Object, key: str) -> Object:
    meter = account.get("billing.meter", key)
    start, end = params["start_time"], params["end_time"]
    window = _WINDOWS.get(params.get("value_grouping_window", ""))
    step = window or 60
    if start % step or end % step or start >= end:
        raise StripeFault.invalid("Times are aligned with the window, or minutes.", "start_time")
    starts = range(start, end, window) if window else [start]
    summaries = [
        {
            "object": "billing.meter_event_summary",
            "id": f"mtrusg_{key}_{begin}",
            "aggregated_value": usage(
                account, meter, params["customer"], begin, begin + (window or end - start)
            ),
            "start_time": begin,
            "end_time": begin + (window or end - start),
            "livemode": False,
            "meter": key,
        }
        for begin in starts
    ]
    shown = [one for one in summaries if one["aggregated_value"] or not window]
    return page(shown, f"/v1/billing/meters/{key}/event_summaries", params)
