"""The scheduler is fair by tokens, bounded, and loses nothing."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.pool.scheduler import FairScheduler, PoolQueueFull, TenantQueueFull, Work

FOREVER = 1e9
LONGEST = 256
QUANTUM = 64


def work(tokens: int, payload: str = "", deadline: float = FOREVER) -> Work[str]:
    return Work(tokens, deadline, payload)


def scheduler(
    tenant_limit: int = 1_000_000, total_limit: int = 10_000_000, quantum: int = QUANTUM
) -> FairScheduler[str]:
    return FairScheduler(tenant_limit=tenant_limit, total_limit=total_limit, quantum=quantum)


def test_one_tenants_work_runs_in_the_order_it_came() -> None:
    queue = scheduler()
    queue.offer("a", [work(10, str(i)) for i in range(100)])
    taken: list[str] = []
    while batch := queue.take(64, now=0).work:
        taken += [item.payload for item in batch]
    assert taken == [str(i) for i in range(100)]


def test_a_newcomer_does_not_wait_behind_a_flood() -> None:
    queue = scheduler()
    queue.offer("flood", [work(64) for _ in range(1000)])
    queue.take(512, now=0)
    queue.offer("newcomer", [work(20, "newcomer")])
    assert "newcomer" in [item.payload for item in queue.take(512, now=0).work]


def test_a_newcomer_does_not_share_a_batch_with_those_who_wait() -> None:
    queue = scheduler()
    queue.offer("flood", [work(64) for _ in range(1000)])
    queue.take(512, now=0)
    queue.offer("newcomer", [work(20, "first"), work(20, "second")])
    assert [item.payload for item in queue.take(512, now=0).work] == ["first", "second"]


def test_nobody_overtakes_twice_in_a_round() -> None:
    queue = scheduler()
    queue.offer("flood", [work(64, "flood") for _ in range(1000)])
    queue.take(512, now=0)
    ran: Counter[str] = Counter()
    for _ in range(20):
        queue.offer("greedy", [work(64, "greedy")])
        ran.update(item.payload for item in queue.take(64, now=0).work)
    assert ran["greedy"] <= ran["flood"] + 1


def test_a_batch_keeps_to_its_budget_but_a_larger_work_runs_alone() -> None:
    queue = scheduler(quantum=128)
    queue.offer("a", [work(60), work(60), work(300), work(60)])
    sizes = [[item.tokens for item in queue.take(128, now=0).work] for _ in range(4)]
    assert sizes == [[60, 60], [300], [60], []]


def test_a_batch_visits_each_tenant_once() -> None:
    queue = scheduler()
    queue.offer("flood", [work(16, "flood") for _ in range(100)])
    assert len(queue.take(512, now=0).work) == QUANTUM // 16
    together = scheduler()
    for tenant in "abc":
        together.offer(tenant, [work(16, tenant) for _ in range(100)])
    ran = Counter(item.payload for item in together.take(512, now=0).work)
    assert ran == dict.fromkeys("abc", QUANTUM // 16)


def test_work_past_its_deadline_is_given_back_and_not_run() -> None:
    queue = scheduler()
    queue.offer("a", [work(10, "late", deadline=5), work(10, "good", deadline=20)])
    batch = queue.take(100, now=5)
    assert [item.payload for item in batch.expired] == ["late"]
    assert [item.payload for item in batch.work] == ["good"]
    assert queue.queued_tokens == 0


def test_a_full_tenant_queue_refuses_the_whole_request_and_leaves_others_alone() -> None:
    queue = scheduler(tenant_limit=100)
    queue.offer("a", [work(90)])
    with pytest.raises(TenantQueueFull) as full:
        queue.offer("a", [work(5), work(6)])
    assert full.value.queued_tokens == 90
    assert queue.queued_tokens == 90
    queue.offer("b", [work(90)])


def test_a_queue_that_was_full_is_closed_until_it_has_drained() -> None:
    queue = scheduler(tenant_limit=100)
    queue.offer("a", [work(10) for _ in range(10)])
    queue.check_open("a")
    with pytest.raises(TenantQueueFull):
        queue.offer("a", [work(1)])
    queue.take(10, now=0)
    with pytest.raises(TenantQueueFull) as closed:
        queue.check_open("a")
    assert closed.value.queued_tokens == 90
    queue.check_open("b")
    queue.take(10, now=0)
    queue.check_open("a")
    queue.offer("a", [work(5)])


def test_the_pool_as_a_whole_is_bounded() -> None:
    queue = scheduler(total_limit=100)
    queue.offer("a", [work(90)])
    with pytest.raises(PoolQueueFull):
        queue.offer("b", [work(20)])


def test_a_request_larger_than_the_limit_is_admitted_to_an_empty_queue() -> None:
    queue = scheduler(tenant_limit=100, total_limit=100)
    queue.offer("a", [work(200) for _ in range(3)])
    assert queue.queued_tokens == 600


def test_an_idle_tenant_saves_no_credit_for_a_burst() -> None:
    queue = scheduler()
    queue.offer("a", [work(1)])
    queue.take(100, now=0)
    queue.offer("b", [work(64) for _ in range(50)])
    queue.offer("a", [work(64) for _ in range(50)])
    first = Counter(queue_tenant(queue, 10, 64))
    assert abs(first["a"] - first["b"]) <= 64


def queue_tenant(queue: FairScheduler[str], takes: int, budget: int) -> dict[str, int]:
    """Tokens that each tenant gets in so many batches."""
    got: Counter[str] = Counter()
    for _ in range(takes):
        before = queue.queued_tenants()
        queue.take(budget, now=0)
        after = queue.queued_tenants()
        got.update({tenant: tokens - after.get(tenant, 0) for tenant, tokens in before.items()})
    return dict(got)


@given(
    weights=st.lists(st.integers(1, 8), min_size=2, max_size=5),
    sizes=st.lists(st.lists(st.integers(16, LONGEST), min_size=1, max_size=6), min_size=5, max_size=5),
    budget=st.integers(1, 512),
    takes=st.integers(1, 20),
)
def test_tenants_with_work_waiting_get_tokens_by_weight(
    weights: list[int], sizes: list[list[int]], budget: int, takes: int
) -> None:
    queue = scheduler()
    for tenant, weight in enumerate(weights):
        # Enough that nobody runs dry, each tenant with rows of its own sizes.
        queue.offer(
            str(tenant),
            [work(size) for size in sizes[tenant] * (16_000 // sum(sizes[tenant]))],
            weight=weight,
        )
    got = queue_tenant(queue, takes, budget)
    assert all(tenant in queue.queued_tenants() for tenant in got)
    shares = [got.get(str(tenant), 0) / weight for tenant, weight in enumerate(weights)]
    # The bound of deficit round robin: a visit's quantum, and a row that overhangs it on either side.
    assert max(shares) - min(shares) <= QUANTUM + 2 * LONGEST


@given(st.data())
def test_every_work_comes_out_exactly_once(data: st.DataObject) -> None:
    queue = scheduler(tenant_limit=2000, total_limit=5000)
    offered: list[str] = []
    seen: list[str] = []
    clock = 0.0
    for step in range(data.draw(st.integers(1, 40))):
        if data.draw(st.booleans()):
            sizes = data.draw(st.lists(st.integers(1, LONGEST), max_size=8))
            lifetimes = data.draw(st.lists(st.integers(0, 5), min_size=len(sizes), max_size=len(sizes)))
            names = [f"{step}.{i}" for i in range(len(sizes))]
            rows = [work(s, n, clock + life) for s, n, life in zip(sizes, names, lifetimes, strict=True)]
            try:
                queue.offer(data.draw(st.sampled_from("abc")), rows, weight=data.draw(st.integers(1, 4)))
                offered += names
            except (TenantQueueFull, PoolQueueFull):
                pass
        else:
            batch = queue.take(data.draw(st.integers(1, 600)), clock)
            seen += [item.payload for item in batch.work + batch.expired]
            assert all(item.deadline > clock for item in batch.work)
        clock += 1
    while queue.queued_tokens:
        batch = queue.take(256, now=-1)
        assert batch.work
        seen += [item.payload for item in batch.work]
    assert sorted(seen) == sorted(offered)
    assert queue.queued_tenants() == {}
