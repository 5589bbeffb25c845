"""Fine-tunes and budgets: launched only where there is room, exact once training knows what it will read."""

from decimal import Decimal

import pytest
from sqlalchemy import update

from core.clock import now
from core.db import operator_session
from core.models.fine_tune_jobs import JobStatus
from core.models.tenants import Tenant
from tests.billing.capped import billed_cents, cap, put_on_plan, reserved
from tests.training.jobs.recipes import TOKENS, Recipe
from training.errors import JobError
from training.estimates import Estimate


@pytest.fixture(autouse=True)
def a_cent_each(workshop):
    put_on_plan(workshop.scope, training={"unit_amount": Decimal(1)})


def test_a_fine_tune_that_would_pass_the_budget_is_not_launched(workshop):
    cap(workshop.scope, 999)
    with pytest.raises(JobError, match="of your tenant"):
        workshop.launch(estimate=Estimate(60.0, 1_000))
    assert reserved(workshop.scope) == 0


def test_one_that_waits_holds_its_room_until_it_is_cancelled(workshop):
    cap(workshop.scope, 1_500)
    job_id = workshop.launch(estimate=Estimate(60.0, 1_000))
    with pytest.raises(JobError, match="under way could cost"):
        workshop.launch(estimate=Estimate(60.0, 1_000))
    workshop.cancel(job_id)
    assert workshop.launch(estimate=Estimate(60.0, 1_000))


def test_one_that_succeeds_uses_what_it_read_and_leaves_nothing_reserved(workshop):
    cap(workshop.scope, TOKENS)
    workshop.launch(estimate=Estimate(60.0, TOKENS - 1))
    workshop.run(Recipe())
    assert billed_cents(workshop.scope) == TOKENS
    assert reserved(workshop.scope) == 0


def test_one_whose_exact_count_does_not_fit_fails_before_it_trains(workshop):
    cap(workshop.scope, TOKENS - 1)
    job_id = workshop.launch()
    workshop.run(Recipe())
    job = workshop.job(job_id)
    assert job.status is JobStatus.FAILED
    assert "page 'Budgets'" in (job.error or "")
    assert workshop.facts() == []
    assert reserved(workshop.scope) == 0


def test_none_is_launched_while_a_payment_is_missing(workshop):
    with operator_session("test") as session:
        session.execute(update(Tenant).values(payment_suspended_at=now()))
        session.commit()
    with pytest.raises(JobError, match="payment is missing"):
        workshop.launch()
