"""Events as they can be asked for later: version 1's with their objects, version 2's with their data."""

from datetime import UTC, datetime

from tests.fake_stripe import openapi
from tests.fake_stripe.account import Account, Object, in_range, page
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import PAGE, answers

THIN = "v2.core.event"


def _find(account: Account, key: str, kind: str) -> Object:
    for event in account.events:
        if event["id"] == key and event["object"] == kind:
            return event
    raise StripeFault.missing("event", key)


@answers("get", "/v1/events", PAGE, "type types created")
def list_all(account: Account, params: Object) -> Object:
    types = params.get("types") or ([params["type"]] if "type" in params else None)
    found = [
        one
        for one in account.events
        if one["object"] == "event"
        and (types is None or one["type"] in types)
        and in_range(one["created"], params.get("created"))
    ]
    return page(found, "/v1/events", params)


@answers("get", "/v1/events/{id}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    return _find(account, key, "event")


@answers("get", "/v2/core/events", "limit object_id types created page")
def list_thin(account: Account, params: Object) -> Object:
    found = [
        one
        for one in account.events
        if one["object"] == THIN
        and params.get("object_id") in {None, one.get("related_object", {}).get("id")}
        and one["type"] in params.get("types", [one["type"]])
        and in_range(_seconds(one["created"]), _seconds_of(params.get("created")))
    ]
    start, limit = int(params.get("page", "0")), params.get("limit", 20)
    rest = found[::-1][start:]
    url = f"/v2/core/events?page={start + limit}" if len(rest) > limit else None
    return {"data": rest[:limit], "next_page_url": url, "previous_page_url": None}


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())


def _seconds_of(wanted: Object | None) -> Object | None:
    return {name: _seconds(bound) for name, bound in wanted.items()} if wanted else None


@answers("get", "/v2/core/events/{id}")
def retrieve_thin(account: Account, _params: Object, key: str) -> Object:
    return _find(account, key, THIN)


def notification(event: Object) -> Object:
    """What a webhook is sent of an event: of version 2's no data."""
    if event["object"] != THIN:
        return event
    wrong = openapi.problems(openapi.named(THIN), event)
    assert not wrong, wrong
    return {name: value for name, value in event.items() if name != "data"}
