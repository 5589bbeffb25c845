"""Whose job is next: fair between tenants, and never the same one twice."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from core.db import operator_session
from core.models.fine_tune_jobs import JobStatus
from core.models.tenants import Tenant, TenantStatus
from tests.training.jobs.conftest import let_lease_run_out, reconcile, set_job
from training import scheduler
from training.scheduler import Candidate, choose

START = datetime(2026, 1, 1, tzinfo=UTC)


def candidate(tenant=1, *, queued=0, interrupted=False, running=0, last_started=None) -> Candidate:
    """Times in seconds."""
    return Candidate(
        job_id=UUID(int=tenant),
        tenant_id=UUID(int=tenant),
        queued_at=START + timedelta(seconds=queued),
        was_interrupted=interrupted,
        running=running,
        last_started_at=None if last_started is None else START + timedelta(seconds=last_started),
    )


def chosen(*candidates: Candidate) -> int:
    found = choose(candidates)
    assert found is not None
    return found.tenant_id.int


def test_nobody_is_chosen_where_nobody_waits():
    assert choose([]) is None


def test_a_tenant_with_fewer_running_jobs_goes_first():
    assert chosen(candidate(1, running=1), candidate(2, queued=9, last_started=9)) == 2


def test_then_the_one_whose_last_job_started_longest_ago():
    assert chosen(candidate(1, last_started=5), candidate(2, queued=9, last_started=4)) == 2
    assert chosen(candidate(1, last_started=0), candidate(2, queued=9)) == 2


def test_then_the_one_whose_job_has_waited_longest():
    assert chosen(candidate(1, queued=2), candidate(2, queued=1)) == 2


def test_a_job_that_was_interrupted_goes_before_all_others():
    assert chosen(candidate(1), candidate(2, queued=9, running=3, last_started=9, interrupted=True)) == 2


class Floor:
    """Workers that take jobs by `choose` and end them one by one, and what each tenant has of them."""

    def __init__(self, waiting: dict[int, int]) -> None:
        self.waiting = Counter(waiting)
        self.running: list[int] = []
        self.last_started: dict[int, int] = {}
        self.started: list[int] = []

    def start(self) -> None:
        counts = Counter(self.running)
        tenant = chosen(
            *(
                candidate(tenant, running=counts[tenant], last_started=self.last_started.get(tenant))
                for tenant, waiting in self.waiting.items()
                if waiting
            )
        )
        self.last_started[tenant] = len(self.started)
        self.started.append(tenant)
        self.running.append(tenant)
        self.waiting[tenant] -= 1


crowds = st.dictionaries(st.integers(1, 5), st.integers(1, 30), min_size=1)


@given(crowds)
def test_between_two_jobs_of_a_tenant_each_other_that_waits_gets_one(crowd):
    floor = Floor(crowd)
    for _ in range(sum(crowd.values())):
        floor.start()
        floor.running.clear()
    left = Counter(crowd)
    for position, tenant in enumerate(floor.started):
        left[tenant] -= 1
        until_the_next = floor.started[position + 1 :]
        if tenant in until_the_next:
            between = until_the_next[: until_the_next.index(tenant)]
            assert {other for other, jobs in left.items() if jobs and other != tenant} <= set(between)


@given(crowds, st.integers(1, 4), st.randoms())
def test_workers_are_shared_evenly_by_those_who_have_jobs_for_them(crowd, workers, random):
    floor = Floor(crowd)
    while floor.waiting.total():
        if len(floor.running) == workers:
            floor.running.pop(random.randrange(workers))
        before = Counter(floor.running)
        waiting = [tenant for tenant, jobs in floor.waiting.items() if jobs]
        floor.start()
        assert before[floor.started[-1]] == min(before[tenant] for tenant in waiting)


@given(st.integers(1, 100), st.integers(1, 4))
def test_a_first_job_starts_next_however_many_of_another_tenant_wait(crowd, workers):
    floor = Floor({1: crowd + workers})
    for _ in range(workers):
        floor.start()
    floor.waiting[2] += 1
    floor.running.pop(0)
    floor.start()
    assert floor.started[-1] == 2


@given(st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_the_order_in_which_candidates_are_found_does_not_matter(rows):
    candidates = [
        candidate(number, running=running, last_started=last, queued=queued)
        for number, (running, last, queued) in enumerate(rows)
    ]
    assert chosen(*candidates) == chosen(*reversed(candidates))


def claimed(workshops) -> list[int]:
    """Claim until none waits: whose jobs they were, in order."""
    order = []
    tenants = [workshop.scope.tenant_id for workshop in workshops]
    while (lease := scheduler.claim_next()) is not None:
        order.append(tenants.index(lease.scope.tenant_id))
    return order


def test_claims_go_round_the_tenants(make_workshop):
    workshops = [make_workshop() for _ in range(3)]
    for workshop, count in zip(workshops, (4, 2, 1), strict=True):
        for _ in range(count):
            workshop.launch()
    assert claimed(workshops) == [0, 1, 2, 0, 1, 0, 0]


def test_a_tenants_jobs_are_claimed_in_the_order_of_their_launch(workshop):
    launched = [workshop.launch() for _ in range(3)]
    assert [workshop.claim().job_id for _ in range(3)] == launched


def test_workers_at_once_claim_different_jobs_and_fairly(make_workshop):
    workshops = [make_workshop() for _ in range(2)]
    launched = {workshops[0].launch() for _ in range(6)} | {workshops[1].launch() for _ in range(2)}
    with ThreadPoolExecutor(4) as threads:
        first = list(threads.map(lambda _: scheduler.claim_next(), range(4)))
        then = list(threads.map(lambda _: scheduler.claim_next(), range(6)))
    taken = [lease for lease in (*first, *then) if lease is not None]
    assert {lease.job_id for lease in taken} == launched
    assert len(taken) == len(launched)
    tenants = Counter(lease.scope.tenant_id for lease in first if lease)
    assert tenants == {workshops[0].scope.tenant_id: 2, workshops[1].scope.tenant_id: 2}


def test_a_claim_is_an_attempt_with_a_lease(workshop):
    job_id = workshop.launch()
    lease = workshop.claim()
    job = workshop.job(job_id)
    assert (lease.job_id, lease.attempt, lease.token) == (job_id, 1, job.lease_token)
    assert (job.status, job.attempt) == (JobStatus.PREPARING, 1)
    assert job.started_at is not None
    assert job.lease_expires_at is not None
    assert job.heartbeat_at is not None
    assert timedelta(0) < job.lease_expires_at - job.heartbeat_at < timedelta(minutes=1)


def test_an_interrupted_job_keeps_its_place_and_its_start(workshop, make_workshop):
    job_id = workshop.launch()
    workshop.claim()
    started_at = workshop.job(job_id).started_at
    make_workshop().launch()
    let_lease_run_out(job_id)
    reconcile()
    assert workshop.claim().job_id == job_id
    assert workshop.job(job_id).started_at == started_at
    assert workshop.lines(job_id)[-1] == "Attempt 2: goes on from the beginning."


def test_a_job_that_has_ended_is_not_claimed(workshop):
    job_id = workshop.launch()
    set_job(job_id, status=JobStatus.FAILED)
    assert scheduler.claim_next() is None
    assert not scheduler.has_waiting()


def test_jobs_of_a_suspended_tenant_wait(workshop):
    workshop.launch()
    with operator_session("test") as session:
        session.execute(
            update(Tenant).where(Tenant.id == workshop.scope.tenant_id).values(status=TenantStatus.SUSPENDED)
        )
        session.commit()
    assert not scheduler.has_waiting()
    assert scheduler.claim_next() is None


def test_a_job_that_is_cancelled_while_it_is_being_claimed_is_passed_over(workshop, monkeypatch):
    first, second = workshop.launch(), workshop.launch()
    find = scheduler._candidates

    def find_and_let_cancel(session):
        found = find(session)
        monkeypatch.undo()
        workshop.cancel(first)
        return found

    monkeypatch.setattr(scheduler, "_candidates", find_and_let_cancel)
    assert workshop.claim().job_id == second
    assert workshop.job(first).status is JobStatus.CANCELLED
    assert workshop.job(first).attempt == 0
