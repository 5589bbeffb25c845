"""Random months of a tenant: whatever happens in them, Stripe's invoice agrees with ours to the cent."""

from datetime import timedelta
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.corrections import reverse
from billing.credits import grant_credit
from billing.periods import Month
from billing.plans import subscribe
from billing.settlement import asked_cents
from billing.stripe import subscriptions
from core.db import operator_session
from core.models.billing import InvoiceStatus
from core.models.credit_grants import CreditKind
from core.models.usage import UsageFact, UsageKind
from tests.billing.months import STAFF
from tests.billing.stripe.collecting import Collecting, invoice_of, mirror_of

TOKENS = st.one_of(st.integers(1, 10_000), st.integers(10**6, 10**9))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("use"), TOKENS, st.sampled_from(UsageKind), st.integers(0, 40)),
        st.tuples(st.just("plan"), st.sampled_from(("starter", "scale"))),
        st.tuples(st.just("credit"), st.integers(1, 10_000)),
        st.tuples(st.just("reverse"), st.integers(0, 10)),
        st.tuples(st.just("wait"), st.integers(1, 9)),
    ),
    max_size=10,
)
_numbers = count(1)


class Life:
    """A tenant that goes from month to month."""

    def __init__(self, stripe: Collecting) -> None:
        self.stripe = stripe
        self.tenant = stripe.subscribe("starter")
        self.last = Month.containing(stripe.at).end - timedelta(hours=2)

    def use(self, quantity: int, kind: UsageKind, days_ago: int) -> None:
        """Some of it becomes known only after its month was invoiced."""
        self.stripe.use(self.tenant, self.stripe.at - timedelta(days=days_ago), quantity, kind)

    def plan(self, code: str) -> None:
        self.stripe.travel(self.stripe.at + timedelta(minutes=1))  # two changes at one time are refused
        with operator_session("test") as session:
            subscribe(session, self.tenant.id, code, self.stripe.at)
            session.commit()

    def credit(self, cents: int) -> None:
        with operator_session("test") as session:
            reference = f"Transfer {next(_numbers)}"
            grant_credit(
                session, STAFF, self.tenant.id, CreditKind.PREPAID, cents, "USD", reference, at=self.stripe.at
            )
            session.commit()

    def reverse(self, which: int) -> None:
        """Take back one of the facts that nobody took back before."""
        with operator_session("test") as session:
            taken_back = select(UsageFact.reverses_id).where(UsageFact.reverses_id.is_not(None))
            facts = session.scalars(
                select(UsageFact)
                .where(UsageFact.reverses_id.is_(None), UsageFact.id.not_in(taken_back))
                .order_by(UsageFact.occurred_at, UsageFact.id)
            ).all()
            if facts:
                fact = facts[which % len(facts)]
                reverse(session, STAFF, self.tenant.id, fact.id, f"Wrong {uuid4()}")
                session.commit()

    def wait(self, days: int) -> None:
        """Go on in the month, with usage reported on the way."""
        self.stripe.travel(min(self.stripe.at + timedelta(days=days), self.last))
        self.stripe.report()

    def turn(self) -> Month:
        month = Month.containing(self.stripe.at)
        self.stripe.turn(month)
        subscriptions.align_all(self.stripe.client, self.stripe.at)
        self.last = month.next.end - timedelta(hours=2)
        return month


@pytest.fixture
def life(stripe) -> Life:
    return Life(stripe)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_each_month_agrees_and_nothing_is_held(life, data):
    for what, *arguments in data.draw(STEPS):
        getattr(life, what)(*arguments)
    month = life.turn()
    row, ours = mirror_of(life.tenant, month), invoice_of(life.tenant, month)
    assert (row.held_reason, row.status != "draft") == (None, True)
    assert row.total_cents == asked_cents(ours) - ours.credits_cents
    assert ours.status in {InvoiceStatus.OPEN, InvoiceStatus.PAID}
