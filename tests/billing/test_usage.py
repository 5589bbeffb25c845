"""The month's running cost: whichever way it is parted, the parts add up to the cent."""

from datetime import datetime, timedelta
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from billing.close import close_month
from billing.plans import subscribe
from billing.rating import total_cents
from billing.shares import shares_csv
from billing.usage import month_usage, months_with_usage
from core.catalogue import DEFAULT_BASE_MODEL
from core.db import operator_session
from core.models.api_keys import ApiKey
from core.models.billing import PriceKind
from core.models.datasets import Dataset, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob
from core.models.models import Model
from core.models.tenants import Tenant
from core.models.usage import UsageKind
from tests.billing.months import FEBRUARY, JANUARY, MARCH, STAFF, after, old_tenant, on, use
from tests.billing.tiers import tiered_plan


def a_model(db: Session, tenant: Tenant, name: str) -> Model:
    model = Model(id=uuid4(), tenant_id=tenant.id, name=name, base_model=DEFAULT_BASE_MODEL)
    db.add(model)
    db.flush()
    return model


def a_key(db: Session, tenant: Tenant, name: str) -> ApiKey:
    key = ApiKey(id=uuid4(), tenant_id=tenant.id, name=name, prefix="ad_live_abcd", digest=uuid4().bytes)
    db.add(key)
    db.flush()
    return key


def a_job(db: Session, tenant: Tenant, model: Model, queued_at: datetime) -> FineTuneJob:
    dataset = Dataset(id=uuid4(), tenant_id=tenant.id, name=f"Messages {queued_at:%d}")
    db.add(dataset)
    db.flush()
    version = DatasetVersion(
        id=uuid4(),
        tenant_id=tenant.id,
        dataset_id=dataset.id,
        number=1,
        format="csv",
        size_bytes=1,
    )
    db.add(version)
    db.flush()
    job = FineTuneJob(
        id=uuid4(),
        tenant_id=tenant.id,
        model_id=model.id,
        dataset_version_id=version.id,
        base_model=DEFAULT_BASE_MODEL,
        settings={},
        seed=1,
        queued_at=queued_at,
    )
    db.add(job)
    db.flush()
    return job


facts = st.lists(
    st.tuples(
        st.integers(0, 31 * 24 * 60 - 1),  # minute of January
        st.integers(0, 10**8),
        st.sampled_from(UsageKind),
        st.sampled_from([None, 0, 1, 2]),  # model
        st.sampled_from([None, 0, 1]),  # key
    ),
    max_size=25,
)


@given(facts, st.sets(st.integers(1, 30), max_size=2), st.sampled_from(["starter", "tiered"]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_days_models_and_keys_each_sum_to_what_the_usage_costs(services, used, changes, first):
    with operator_session("test") as db:
        tiered_plan(db)
        tenant = old_tenant(db, first)
        models = [a_model(db, tenant, f"model-{number}") for number in range(3)]
        keys = [a_key(db, tenant, f"key {number}") for number in range(2)]
        for day, plan in zip(sorted(changes), ("scale", "trial"), strict=False):
            subscribe(db, tenant.id, plan, on(day))
        for minute, quantity, kind, model, key in used:
            use(
                db,
                tenant,
                JANUARY.start + timedelta(minutes=minute),
                quantity,
                kind,
                model_id=None if model is None else models[model].id,
                api_key_id=None if key is None else keys[key].id,
            )
        usage = month_usage(db, tenant.id, JANUARY)
        for shares in (usage.days, usage.models, usage.keys):
            assert sum(share.cost_cents for share in shares) == usage.usage_cents
            assert all(share.cost_cents >= 0 for share in shares)
            assert sum(share.requests for share in shares) == sum(
                kind is not UsageKind.CHAT_OUTPUT for _, _, kind, *_ in used
            )
            for kind in UsageKind:
                tokens = sum(quantity for _, quantity, of_kind, *_ in used if of_kind is kind)
                assert sum(share.tokens[PriceKind(kind)] for share in shares) == tokens
        by_kind = zip(*usage.day_costs.values(), strict=True)
        assert [sum(costs) for costs in by_kind] == [day.cost_cents for day in usage.days]
        parts = (usage.fee_cents, usage.minimum_cents, usage.usage_cents, usage.late_cents)
        assert sum(parts) == usage.bill.total_cents
        training = [line for line in usage.bill.lines if line.kind == PriceKind.TRAINING]
        assert sum(share.cost_cents for share in usage.jobs) == total_cents(training)
        (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
        assert invoice.total_cents == usage.bill.total_cents


def test_the_first_days_use_the_quota_up(db):
    tenant = old_tenant(db)
    use(db, tenant, on(2), 100_000)
    use(db, tenant, on(5), 5_000_000)
    costs = {day.name: day.cost_cents for day in month_usage(db, tenant.id, JANUARY).days}
    assert (costs["2025-01-02"], costs["2025-01-05"]) == (0, 200)


def test_what_has_no_model_or_key_is_named_by_where_it_came_from(db):
    tenant = old_tenant(db)
    model, key = a_model(db, tenant, "intents"), a_key(db, tenant, "Help desk")
    use(db, tenant, on(2), 30, model_id=model.id, api_key_id=key.id)
    use(db, tenant, on(2), 20, UsageKind.TRAINING)
    usage = month_usage(db, tenant.id, JANUARY)
    assert [share.name for share in usage.models] == ["intents", "No model"]
    assert [share.name for share in usage.keys] == ["Help desk (ad_live_abcd…)", "Fine-tune jobs"]


def test_training_is_shared_by_the_fine_tunes_that_used_it(db):
    tenant = old_tenant(db)
    model = a_model(db, tenant, "intents")
    first, second = (a_job(db, tenant, model, on(day)) for day in (2, 9))
    for job, tokens in ((first, 400_000), (second, 1_600_000)):
        use(db, tenant, job.queued_at, tokens, UsageKind.TRAINING, model_id=model.id, job_id=job.id)
    use(db, tenant, on(3), 1_100_000)
    usage = month_usage(db, tenant.id, JANUARY)
    assert [(share.name, share.tokens[PriceKind.TRAINING], share.cost_cents) for share in usage.jobs] == [
        ("intents, 9 Jan 2025 12:00", 1_600_000, 240),
        ("intents, 2 Jan 2025 12:00", 400_000, 60),
    ]


def test_the_projection_goes_on_through_the_tiers_and_up_to_the_minimum(db):
    tenant = old_tenant(db, tiered_plan(db))
    half_way = JANUARY.start + (JANUARY.end - JANUARY.start) / 2
    use(db, tenant, on(2), 1_000_000)
    assert month_usage(db, tenant.id, JANUARY, half_way).projected_cents == 1000
    use(db, tenant, on(2), 19_000_000)
    # 40 million: 1 included, 5 at 0.40, 15 at 0.30 and 1.50, 19 at 0.21
    assert month_usage(db, tenant.id, JANUARY, half_way).projected_cents == 1199


def test_a_quota_shows_what_is_used_and_what_is_included(db):
    tenant = old_tenant(db)
    use(db, tenant, on(2), 25_000)
    prediction, training, *_ = month_usage(db, tenant.id, JANUARY).quotas
    assert (prediction.used, prediction.included, prediction.share_used) == (25_000, 100_000, 0.25)
    assert (training.used, training.included, training.share_used) == (0, 500_000, 0.0)


def test_the_projection_goes_on_at_the_pace_so_far_and_ends_with_the_month(db):
    tenant = old_tenant(db)
    use(db, tenant, on(5), 1_100_000)
    half_way = JANUARY.start + (JANUARY.end - JANUARY.start) / 2
    assert month_usage(db, tenant.id, JANUARY, half_way).projected_cents == 84  # 2.2 million less the quota
    assert month_usage(db, tenant.id, JANUARY, after(JANUARY)).projected_cents is None


def test_the_forecast_of_days_ends_at_the_projection_and_begins_where_the_quota_ends(db):
    tenant = old_tenant(db)
    use(db, tenant, on(1), 80_000)
    usage = month_usage(db, tenant.id, JANUARY, on(9, hour=0))  # 10,000 a day, and 20,000 left of the quota
    assert usage.forecast is not None
    assert usage.usage_cents + sum(usage.forecast.day_cents) == usage.projected_cents == 8
    assert usage.forecast.day_cents[:10] == [0] * 10
    assert any(usage.forecast.day_cents[10:])


def test_what_a_volume_price_takes_off_days_gone_is_off_the_forecast_of_those_to_come(db):
    tenant = old_tenant(db, tiered_plan(db))
    use(db, tenant, on(2), 15_000_000, UsageKind.TRAINING)
    use(db, tenant, on(2), 1_000_000)
    half_way = JANUARY.start + (JANUARY.end - JANUARY.start) / 2
    usage = month_usage(db, tenant.id, JANUARY, half_way)
    assert usage.forecast is not None
    assert usage.usage_cents == 15 * 30 + 150
    assert (
        usage.usage_cents + sum(usage.forecast.day_cents) == 30 * 21 + 40
    )  # a cheaper tier, without its 1.50
    assert usage.forecast.day_cents[:15] == [0] * 15
    assert min(usage.forecast.day_cents) == 0


def test_the_first_hours_of_a_month_are_not_taken_for_a_pace(db):
    tenant = old_tenant(db)
    use(db, tenant, JANUARY.start, 200_000)
    an_hour_in = JANUARY.start + timedelta(hours=1)
    assert month_usage(db, tenant.id, JANUARY, an_hour_in).projected_cents == 252  # as much a day


def test_the_months_to_choose_from_reach_back_to_the_first_usage(db):
    tenant = old_tenant(db)
    assert months_with_usage(db, tenant.id, on(3, MARCH)) == [MARCH]
    use(db, tenant, on(31), 1)
    assert months_with_usage(db, tenant.id, on(3, MARCH)) == [MARCH, FEBRUARY, JANUARY]


def test_the_csv_has_a_row_for_each_share(db):
    tenant = old_tenant(db)
    use(db, tenant, on(2), 1_100_000)
    lines = shares_csv("day", month_usage(db, tenant.id, JANUARY).days).splitlines()
    assert lines[0] == (
        "day,prediction_tokens,training_tokens,chat_input_tokens,chat_output_tokens,requests,cost_cents"
    )
    assert lines[2] == "2025-01-02,1100000,0,0,0,1,40"
    assert len(lines) == 32
