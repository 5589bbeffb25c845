"""Usage on its way to Stripe: every token is counted once, whatever fails and however late a fact comes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.corrections import reverse
from billing.stripe import outbox, reporting
from billing.stripe.catalogue_sync import StripeType, event_name, get_stripe_id
from core.db import operator_session
from core.models.stripe import ReportStatus
from core.models.usage import UsageFact, UsageKind
from tests.billing.months import JANUARY, STAFF, on
from tests.billing.stripe.collecting import customer_of, reports_of
from tests.fake_stripe.failures import Failure

EVENTS = "/v1/billing/meter_events"


def meter_of(kind: UsageKind) -> str:
    with operator_session("test") as session:
        return get_stripe_id(session, StripeType.METER, kind)


def counted(stripe, tenant, kind=UsageKind.PREDICTION, since=JANUARY.start, until=JANUARY.end) -> int:
    """What Stripe's meter has for the tenant, by default in January."""
    params = {
        "customer": customer_of(tenant.id).customer_id,
        "start_time": int(since.timestamp()),
        "end_time": int(until.timestamp()),
    }
    [whole] = stripe.client.each(f"/v1/billing/meters/{meter_of(kind)}/event_summaries", params)
    return int(whole["aggregated_value"])


def summary(tenant) -> list[tuple[int, int, ReportStatus]]:
    return [(report.hour.hour, report.quantity, report.status) for report in reports_of(tenant)]


def test_an_hours_usage_is_sent_once_it_is_over(stripe):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.use(tenant, on(10, hour=13) + timedelta(minutes=59), 500)
    stripe.use(tenant, on(10, hour=14), 7, UsageKind.CHAT_INPUT)
    stripe.travel(on(10, hour=14))
    stripe.report()
    assert reports_of(tenant) == []

    stripe.travel(on(10, hour=14) + outbox.SETTLING)
    stripe.report()
    assert summary(tenant) == [(13, 1_500, ReportStatus.SENT)]
    assert counted(stripe, tenant) == 1_500

    stripe.travel(on(10, hour=16))
    stripe.report()
    stripe.report()
    assert summary(tenant) == [(13, 1_500, ReportStatus.SENT), (14, 7, ReportStatus.SENT)]
    assert counted(stripe, tenant, UsageKind.CHAT_INPUT) == 7


def test_a_late_fact_raises_its_hour_by_a_report_of_its_own(stripe):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.travel(on(10, hour=15))
    stripe.report()
    stripe.use(tenant, on(10, hour=13), 30)
    stripe.report()
    assert [report.sequence for report in reports_of(tenant)] == [1, 2]
    assert counted(stripe, tenant) == 1_030


def test_usage_before_the_subscription_is_not_reported(stripe):
    with_card = stripe.subscribe()
    stripe.use(with_card, on(9), 1_000)
    stripe.use(with_card, on(10, hour=12) - timedelta(minutes=1), 10)
    stripe.travel(on(11))
    stripe.report()
    assert reports_of(with_card) == []


def test_a_reversal_is_left_to_the_invoice(stripe):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.travel(on(10, hour=15))
    stripe.report()
    with operator_session("test") as session:
        fact = session.scalars(select(UsageFact)).one()
        reverse(session, STAFF, tenant.id, fact.id, "Sent twice by us")
        session.commit()
    stripe.report()
    assert summary(tenant) == [(13, 1_000, ReportStatus.SENT)]


@pytest.mark.parametrize("failure", Failure)
def test_what_fails_is_sent_again_and_counted_once(stripe, failure):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.use(tenant, on(10, hour=14), 200)
    stripe.travel(on(10, hour=16))
    stripe.fake.failures.plan(failure, EVENTS)
    stripe.report()
    # The later hour waits: one call in flight for each customer and meter, in order.
    assert summary(tenant) == [(13, 1_000, ReportStatus.SENDING), (14, 200, ReportStatus.PENDING)]
    stripe.travel(on(10, hour=16) + timedelta(seconds=30))
    stripe.report()
    assert summary(tenant)[0][2] is ReportStatus.SENDING

    stripe.travel(on(10, hour=16) + timedelta(minutes=2))
    stripe.report()
    assert summary(tenant) == [(13, 1_000, ReportStatus.SENT), (14, 200, ReportStatus.SENT)]
    assert counted(stripe, tenant) == 1_200


def test_a_report_that_a_killed_process_left_is_sent_again_by_its_identifier(stripe):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.travel(on(10, hour=16))

    def die(*_arguments, **_values):
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "_write", die)
        with pytest.raises(SystemExit):
            stripe.report()
    assert summary(tenant) == [(13, 1_000, ReportStatus.SENDING)]
    stripe.travel(on(10, hour=17))
    stripe.report()
    assert summary(tenant) == [(13, 1_000, ReportStatus.SENT)]
    assert counted(stripe, tenant) == 1_000


@pytest.mark.parametrize("arrived", [True, False])
def test_after_a_day_the_summary_decides_and_nothing_is_sent_blindly(stripe, arrived):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.travel(on(10, hour=16))
    stripe.fake.failures.plan(Failure.TIMEOUT_AFTER if arrived else Failure.TIMEOUT_BEFORE, EVENTS)
    stripe.report()
    [first] = reports_of(tenant)

    stripe.travel(on(12))
    stripe.report()
    if not arrived:
        [renewed] = reports_of(tenant)
        assert (renewed.sequence, renewed.status) == (2, ReportStatus.SENT)
        assert renewed.identifier != first.identifier
    assert counted(stripe, tenant) == 1_000
    assert [report.status for report in reports_of(tenant)] == [ReportStatus.SENT]


def test_what_stripe_counted_in_part_is_sent_for_the_rest_alone(stripe):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.travel(on(10, hour=16))
    stripe.fake.failures.plan(Failure.TIMEOUT_BEFORE, EVENTS)
    stripe.report()
    payload = {"stripe_customer_id": customer_of(tenant.id).customer_id, "value": "400"}
    stripe.client.post(
        EVENTS,
        {
            "event_name": event_name(UsageKind.PREDICTION),
            "payload": payload,
            "timestamp": int(on(10, hour=13).timestamp()),
        },
        key="by hand",
    )
    stripe.travel(on(12))
    stripe.report()
    assert sorted(report.quantity for report in reports_of(tenant)) == [400, 600]
    assert counted(stripe, tenant) == 1_000


def test_usage_older_than_stripe_takes_is_left_to_the_invoice(stripe):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.fake.travel(int((on(10) + timedelta(days=36)).timestamp()))
    stripe.report()
    assert summary(tenant) == [(13, 1_000, ReportStatus.ADJUSTED)]
    assert counted(stripe, tenant) == 0


def test_usage_that_stripe_took_and_then_rejected_can_be_sent_again(stripe):
    tenant = stripe.subscribe()
    meter = meter_of(UsageKind.PREDICTION)
    stripe.client.post(f"/v1/billing/meters/{meter}/deactivate", key="off")
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.travel(on(10, hour=16))
    stripe.report()
    stripe.handle()
    [report] = reports_of(tenant)
    assert report.status is ReportStatus.REJECTED
    assert "archived_meter" in (report.error or "")

    stripe.client.post(f"/v1/billing/meters/{meter}/reactivate", key="on")
    stripe.report()
    assert counted(stripe, tenant) == 0
    with operator_session("test") as session:
        outbox.retry(session, STAFF, report.id, stripe.at)
        session.commit()
    stripe.travel(on(10, hour=17))
    stripe.report()
    assert [(one.sequence, one.status) for one in reports_of(tenant)] == [(2, ReportStatus.SENT)]
    assert counted(stripe, tenant) == 1_000


def test_two_workers_send_each_report_once_and_one_at_a_time_to_a_meter(stripe):
    tenants = [stripe.subscribe() for _ in range(2)]
    for tenant in tenants:
        for hour in range(13, 20):
            stripe.use(tenant, on(10, hour=hour), 1_000)
            stripe.use(tenant, on(10, hour=hour), 10, UsageKind.CHAT_INPUT)
    stripe.travel(on(10, hour=22))
    with operator_session("test") as session:
        outbox.make_reports(session, stripe.at)
        session.commit()
    in_flight: list[str] = []
    answer = stripe.fake.request

    def watch(method, url, headers, post_data=None, **more):
        meter = str(post_data).partition("identifier=")[2][:48]
        assert meter not in in_flight
        in_flight.append(meter)
        try:
            return answer(method, url, headers, post_data, **more)
        finally:
            in_flight.remove(meter)

    stripe.fake.request = watch
    with ThreadPoolExecutor(4) as workers:
        for sent in [workers.submit(reporting.send_due, stripe.client, stripe.at) for _ in range(4)]:
            sent.result()
    reporting.send_due(stripe.client, stripe.at)
    sent_events = [request for request in stripe.fake.requests if request.path == EVENTS]
    assert len(sent_events) == len({request.params["identifier"] for request in sent_events}) == 28
    assert [counted(stripe, tenant) for tenant in tenants] == [7_000, 7_000]


HOURS = st.integers(1, 30)
STEPS = st.one_of(
    st.tuples(st.just("use"), st.integers(1, 10**6), st.integers(0, 20)),
    st.tuples(st.just("fail"), st.sampled_from(Failure), st.integers(1, 3)),
    st.tuples(st.just("report"), HOURS, HOURS),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=10))
def test_whatever_fails_when_every_token_is_counted_once(stripe, steps):
    tenant = stripe.subscribe()
    begun = stripe.at
    used = 0
    stripe.travel(begun + timedelta(hours=24))
    for what, first, second in steps:
        if what == "use":
            stripe.use(tenant, stripe.at - timedelta(hours=second), first)
            used += first
        elif what == "fail":
            stripe.fake.failures.plan(first, EVENTS, times=second)
        else:
            stripe.travel(stripe.at + timedelta(hours=first))
            stripe.report()
    stripe.fake.failures.clear()
    for _ in range(3):
        stripe.travel(stripe.at + timedelta(hours=26))
        stripe.report()
    assert {report.status for report in reports_of(tenant)} <= {ReportStatus.SENT}
    assert counted(stripe, tenant, since=begun, until=stripe.at) == used


def test_only_a_rejected_report_can_be_changed_by_staff(stripe):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.travel(on(10, hour=16))
    stripe.report()
    [report] = reports_of(tenant)
    with operator_session("test") as session:
        for change in (outbox.retry, outbox.give_up):
            with pytest.raises(outbox.ReportStateError, match="sent"):
                change(session, STAFF, report.id)
        [(listed, owner)] = outbox.list_reports(session)
        assert (listed.id, owner.id) == (report.id, tenant.id)
        assert outbox.count_reports(session)[ReportStatus.SENT] == 1
