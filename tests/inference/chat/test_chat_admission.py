"""Who starts next: fair between tenants, within the rows and the memory there are."""

import pytest

from inference.pool.chat.admission import Admission
from inference.pool.chat.requests import ChatRequest
from inference.pool.scheduler import PoolQueueFull, TenantQueueFull
from tests.inference.chat.runs import request

COST = 100


def admission(**changes: int) -> Admission:
    return Admission(**{"rows": 8, "tokens": 1600, "tenant_limit": 5000, "total_limit": 8000, **changes})


def offer(
    to: Admission, tenant: str, count: int = 1, *, tokens: int = COST, **fields: object
) -> list[ChatRequest]:
    requests = [request([1], tenant=tenant, **fields) for _ in range(count)]
    for each in requests:
        to.offer(each, tokens)
    return requests


def started(by: Admission, now: float = 0.0) -> list[str]:
    """The tenants of those that may start now, in order."""
    tenants = []
    while (admitted := by.take(now)).request is not None:
        tenants.append(admitted.request.tenant)
    return tenants


def test_one_tenant_leaves_a_quarter_of_the_rows_to_others() -> None:
    subject = admission()
    offer(subject, "flood", 40)
    assert started(subject) == ["flood"] * 6
    offer(subject, "new")
    assert started(subject) == ["new"]


def test_one_tenant_leaves_a_quarter_of_the_memory_to_others() -> None:
    subject = admission()
    offer(subject, "flood", 10, tokens=400)
    assert started(subject) == ["flood"] * 3
    offer(subject, "new", tokens=400)
    assert started(subject) == ["new"]


def test_tenants_that_wait_take_turns_by_tokens() -> None:
    subject = admission(rows=100, tokens=100_000)
    offer(subject, "small", 20, tokens=50)
    offer(subject, "large", 5, tokens=200)
    order = started(subject)
    assert len(order) == 25
    # While both wait, a large one starts for every four small ones.
    assert 3 <= order[: order.index("large", order.index("large") + 1)].count("small") <= 8


def test_a_weight_is_a_share() -> None:
    subject = admission(rows=100, tokens=100_000, tenant_limit=10_000, total_limit=20_000)
    offer(subject, "one", 30, weight=1)
    offer(subject, "three", 30, weight=3)
    assert 5 <= started(subject)[:32].count("one") <= 11


def test_the_next_one_waits_until_it_fits_and_nobody_passes() -> None:
    subject = admission(tokens=1000)
    (first,) = offer(subject, "a", tokens=900)
    assert started(subject) == ["a"]
    offer(subject, "b", tokens=900)
    assert started(subject) == []
    offer(subject, "c", tokens=10)
    assert started(subject) == []
    subject.release(first, 900)
    assert started(subject) == ["b", "c"]


def test_a_deadline_ends_waiting_only() -> None:
    subject = admission(rows=1)
    (first, late) = offer(subject, "a", 2, deadline=10.0)
    assert subject.take(9.0).request is first
    assert subject.take(9.0).request is None
    ended = subject.take(10.0)
    assert (ended.request, ended.expired) == (None, [late])
    assert subject.waiting == 0


def test_a_cancelled_request_takes_nobodys_turn() -> None:
    subject = admission(rows=1)
    (first, second, third) = offer(subject, "a", 3)
    assert subject.take(0).request is first
    assert subject.take(0).request is None
    subject.cancel(second.id)
    subject.release(first, COST)
    assert subject.take(0).request is third
    assert (subject.waiting, subject.queued_tokens) == (0, 0)


def test_queues_are_bounded() -> None:
    subject = admission()
    offer(subject, "a", 50)
    with pytest.raises(TenantQueueFull):
        offer(subject, "a")
    offer(subject, "b", 30)
    with pytest.raises(PoolQueueFull):
        offer(subject, "c")
    assert subject.queued_tenants() == {"a": 5000, "b": 3000}
