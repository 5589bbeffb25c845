"""One account at the stand-in for Stripe: its objects, its clock, and the events that it sends."""

import copy
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.fake_stripe import openapi
from tests.fake_stripe.faults import StripeFault

Object = dict[str, Any]
"""An object as Stripe answers it. Properties that begin with `_` are shown only where `expand` asks for them."""

API_URL = "https://api.stripe.com"


@dataclass
class Account:
    """What the stand-in remembers.

    `frozen` is its time where it travelled; else it is the machine's. While it `holds_meter_events`, they are
    taken but not counted yet. `tax_basis_points` is what automatic tax adds, in hundredths of a percent.
    """

    objects: dict[str, Object] = field(default_factory=dict)
    events: list[Object] = field(default_factory=list)
    meter_events: list[Object] = field(default_factory=list)
    listeners: list[Callable[[Object], None]] = field(default_factory=list)
    frozen: int | None = None
    idempotency_key: str | None = None
    holds_meter_events: bool = False
    tax_basis_points: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)

    def now(self, owner: Object | None = None) -> int:
        """The time in seconds: that of the test clock that `owner` runs on, where it does."""
        if owner is not None and (clock := owner.get("test_clock")):
            frozen: int = self.objects[clock]["frozen_time"]
            return frozen
        return int(time.time()) if self.frozen is None else self.frozen

    def number(self, what: str) -> int:
        """The next number of a sequence, from 1."""
        self._numbers[what] = self._numbers.get(what, 0) + 1
        return self._numbers[what]

    def new(self, kind: str, prefix: str, at: int | None = None, /, **values: Any) -> Object:
        """Make an object of a kind and remember it."""
        key = f"{prefix}_{self.number(prefix):08d}"
        made = {**openapi.blank(kind), "id": key, "created": self.now() if at is None else at, **values}
        if "metadata" in openapi.named(kind)["properties"]:
            made["metadata"] = made.get("metadata") or {}
        self.objects[key] = made
        return made

    def get(self, kind: str, key: str, param: str = "id") -> Object:
        """An object by its id. Raises StripeFault for one that is not, or of another kind."""
        found = self.objects.get(key)
        if found is None or found["object"] != kind:
            raise StripeFault.missing(kind.replace("_", " "), key, param)
        return found

    def of(self, kind: str, **wanted: Any) -> list[Object]:
        """The objects of a kind that have the given values, oldest first; a value of None is not asked for."""
        asked = {key: value for key, value in wanted.items() if value is not None}
        return [
            one
            for one in self.objects.values()
            if one["object"] == kind and all(one.get(key) == value for key, value in asked.items())
        ]

    def emit(self, kind: str, about: Object) -> None:
        """Send an event with the object as it is now."""
        content = shown(about)
        wrong = openapi.problems(openapi.named(about["object"]), content)
        assert not wrong, f"{kind}: {'; '.join(wrong[:5])}"
        event = {
            **openapi.blank("event"),
            "id": f"evt_{self.number('evt'):08d}",
            "api_version": openapi.version(),
            "created": self.now(),
            "type": kind,
            "data": {"object": content},
        }
        self._send(event)

    def emit_thin(self, kind: str, data: Object, about: Object | None = None) -> None:
        """Send an event of version 2, whose data come only to who asks for it."""
        created = datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        event = {
            **openapi.blank("v2.core.event"),
            "id": f"evt_thin_{self.number('evt'):08d}",
            "created": created,
            "type": kind,
            "data": data,
        }
        if about is not None:
            url = f"/v1/billing/meters/{about['id']}"
            event["related_object"] = {"id": about["id"], "type": about["object"], "url": url}
        self._send(event)

    def _send(self, event: Object) -> None:
        self.events.append(event)
        for listener in self.listeners:
            listener(event)


def shown(value: Any) -> Any:
    """A copy of an object as it is answered, without what only `expand` shows."""
    if isinstance(value, dict):
        return {key: shown(inner) for key, inner in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    return value


def expand(account: Account, answer: Object, source: Object, paths: Iterable[str]) -> Object:
    """Put objects in the place of their ids, by paths like `data.customer`."""
    for path in paths:
        _expand(account, answer, source, path.split("."))
    return answer


def _expand(account: Account, answer: Any, source: Any, path: list[str]) -> None:
    if isinstance(answer, list):
        for one, original in zip(answer, source, strict=True):
            _expand(account, one, original, path)
        return
    if not path or not isinstance(answer, dict):
        return
    name, rest = path[0], path[1:]
    if f"_{name}" in source:
        answer[name] = shown(source[f"_{name}"])
    value, original = answer.get(name), source.get(name, source.get(f"_{name}"))
    if isinstance(value, str):
        if value not in account.objects:
            raise StripeFault.invalid(f"This property cannot be expanded ({name}).", "expand")
        original = account.objects[value]
        answer[name] = value = shown(original)
    elif name not in answer:
        raise StripeFault.invalid(f"This property cannot be expanded ({name}).", "expand")
    _expand(account, value, original, rest)


def a_list(objects: Iterable[Object], url: str, *, has_more: bool = False) -> Object:
    """Stripe's list object."""
    return {"object": "list", "data": list(objects), "has_more": has_more, "url": url}


def page(objects: list[Object], url: str, params: Object) -> Object:
    """A page of a list, newest first, as `limit`, `starting_after` and `ending_before` ask."""
    ordered = objects[::-1]
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise StripeFault.invalid("Invalid integer: limit is from 1 to 100.", "limit")
    keys = [one["id"] for one in ordered]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in keys:
            raise StripeFault.missing("object", params[name], name)
    if "ending_before" in params:
        until = keys.index(params["ending_before"])
        start = max(0, until - limit)
        return a_list(ordered[start:until], url, has_more=start > 0)
    start = keys.index(params["starting_after"]) + 1 if "starting_after" in params else 0
    return a_list(ordered[start : start + limit], url, has_more=start + limit < len(ordered))


def in_range(value: int, wanted: int | Object | None) -> bool:
    """Whether a time is what a filter like `created[gte]` wants."""
    if wanted is None:
        return True
    if isinstance(wanted, int):
        return value == wanted
    checks = {"gt": value.__gt__, "gte": value.__ge__, "lt": value.__lt__, "lte": value.__le__}
    return all(checks[name](bound) for name, bound in wanted.items())


def snapshot(value: Any) -> str:
    """A value in one form, to compare requests by."""
    return json.dumps(value, sort_keys=True)


def merged_metadata(old: Object, new: Object | str | None) -> Object:
    """Metadata after an update: a key set to nothing goes, and so do all for the empty string."""
    if new is None:
        return copy.copy(old)
    if isinstance(new, str):
        return {}
    return {key: value for key, value in {**old, **new}.items() if value != ""}
