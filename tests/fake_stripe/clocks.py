"""Time: test clocks, and travelling with the whole account. What falls due on the way happens, in its order."""

from collections.abc import Callable

from tests.fake_stripe import settling, subscriptions
from tests.fake_stripe.account import Account, Object
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import answers


@answers("post", "/v1/test_helpers/test_clocks", "frozen_time name")
def create(account: Account, params: Object) -> Object:
    return account.new(
        "test_helpers.test_clock",
        "clock",
        frozen_time=params["frozen_time"],
        name=params.get("name"),
        deletes_after=account.now() + 30 * settling.DAY,
        status="ready",
        status_details={},
    )


@answers("get", "/v1/test_helpers/test_clocks/{test_clock}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    return account.get("test_helpers.test_clock", key, "test_clock")


@answers("delete", "/v1/test_helpers/test_clocks/{test_clock}")
def delete(account: Account, _params: Object, key: str) -> Object:
    account.get("test_helpers.test_clock", key, "test_clock")
    for one in list(account.objects.values()):
        if one.get("test_clock") == key:
            del account.objects[one["id"]]
    del account.objects[key]
    return {"id": key, "object": "test_helpers.test_clock", "deleted": True}


@answers("post", "/v1/test_helpers/test_clocks/{test_clock}/advance", "frozen_time")
def advance(account: Account, params: Object, key: str) -> Object:
    clock = account.get("test_helpers.test_clock", key, "test_clock")
    if params["frozen_time"] <= clock["frozen_time"]:
        raise StripeFault.invalid("A test clock goes forward.", "frozen_time")

    def set_time(at: int) -> None:
        clock["frozen_time"] = at

    _pass(account, key, params["frozen_time"], set_time)
    account.emit("test_helpers.test_clock.ready", clock)
    return clock


def travel(account: Account, to: int) -> None:
    """Let time pass up to a moment for everybody without a test clock."""

    def set_time(at: int) -> None:
        account.frozen = at

    if to < account.now():
        raise ValueError("Time goes forward.")
    _pass(account, None, to, set_time)


def _pass(account: Account, clock: str | None, until: int, set_time: Callable[[int], None]) -> None:
    while (due := _next_due(account, clock, until)) is not None:
        at, happen, one = due
        set_time(max(at, account.now({"test_clock": clock} if clock else None)))
        happen(account, one)
    set_time(until)


def _next_due(
    account: Account, clock: str | None, until: int
) -> tuple[int, Callable[[Account, Object], None], Object] | None:
    found: list[tuple[int, Callable[[Account, Object], None], Object]] = []
    for one in account.of("subscription"):
        if one["test_clock"] == clock and one["status"] != "canceled":
            found.append((one["_period"][1], subscriptions.turn, one))
    for one in account.of("invoice"):
        if one["test_clock"] != clock:
            continue
        if one["automatically_finalizes_at"] is not None:
            found.append((one["automatically_finalizes_at"], _finalise, one))
        if one["status"] == "open" and one["next_payment_attempt"] is not None:
            found.append((one["next_payment_attempt"], _attempt, one))
    due = [one for one in found if one[0] <= until]
    return min(due, key=lambda one: one[0]) if due else None


def _finalise(account: Account, invoice: Object) -> None:
    settling.finalise(account, invoice)


def _attempt(account: Account, invoice: Object) -> None:
    try:
        settling.attempt(account, invoice)
    except StripeFault:
        return
