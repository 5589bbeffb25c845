"""The dashboard: first steps of a new tenant, then what is live, what runs and what it costs; to each their own."""

from datetime import timedelta

import pytest

from billing import ledger
from core import api_keys
from core.clock import now
from core.db import tenant_session
from core.models.fine_tune_jobs import JobStatus
from core.models.usage import UsageKind, UsageSource
from core.tenancy import Role
from tests.portal.trained import add_job, add_model, add_trained, add_version, change

PART = {"HX-Request": "true"}


def page(person, **options) -> str:
    response = person.client.get("/", **options)
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def use(person, kind, quantity, model=None, **values):
    with tenant_session(person.scope) as session:
        usage = ledger.Usage(
            f"{kind}-{quantity}",
            kind,
            quantity,
            UsageSource.API,
            model_id=model.id if model else None,
            **values,
        )
        ledger.record(session, person.scope.tenant_id, usage)
        session.commit()


def next_step(shown: str) -> str:
    """The step that the checklist asks for now."""
    return shown.partition('aria-current="step"')[2].partition("<h3")[2].partition(">")[2].partition("<")[0]


def test_a_new_tenant_is_led_from_step_to_step(admin):
    assert "0 of 4 done" in page(admin)
    assert next_step(page(admin)) == "Upload a dataset"
    version = add_version(admin.scope)
    assert next_step(page(admin)) == "Fine-tune a model"
    model = add_model(admin.scope)
    adapter = add_trained(admin.scope, model, version)
    change(admin.scope, model, current_adapter_id=adapter.id)
    assert next_step(page(admin)) == "Create an API key"
    with tenant_session(admin.scope) as session:
        api_keys.create(session, admin.scope, "test")
        session.commit()
    assert next_step(page(admin)) == "Make the first prediction"
    use(admin, UsageKind.PREDICTION, 10, model)
    assert "First steps" not in page(admin)


def test_the_tiles_the_chart_and_the_cost(admin):
    version, model = add_version(admin.scope), add_model(admin.scope)
    adapter = add_trained(admin.scope, model, version)
    change(admin.scope, model, current_adapter_id=adapter.id)
    use(admin, UsageKind.PREDICTION, 1_100_000, model, inputs=321)
    use(admin, UsageKind.TRAINING, 200_000)
    shown = page(admin)
    assert "321" in shown
    assert "$0.40" in shown  # a million tokens beyond the 100,000 that the trial includes
    assert "100,000 are included; 1,000,000 are charged." in shown
    assert "300,000 of 500,000 included ones are left." in shown
    assert "data-chart='" in shown


def test_last_months_use_is_in_the_days_and_not_in_the_months_figures(admin):
    model = add_model(admin.scope)
    use(admin, UsageKind.PREDICTION, 1_100_000, model, inputs=321, occurred_at=now() - timedelta(days=40))
    assert "$0.00" in page(admin)


def test_the_latest_fine_tunes_are_live_while_one_is_under_way(admin):
    version, model = add_version(admin.scope), add_model(admin.scope)
    jobs = [add_job(admin.scope, model, version, JobStatus.TRAINING, progress=0.5) for _ in range(6)]
    part = page(admin, headers=PART)
    assert "<html" not in part
    assert part.count("/fine-tunes/") == 5
    assert 'hx-trigger="every 3s"' in part
    for job in jobs:
        change(admin.scope, job, status=JobStatus.CANCELLED, finished_at=now())
    assert "hx-trigger" not in page(admin, headers=PART)


@pytest.mark.parametrize(
    ("role", "sees_cost"), [(Role.VIEWER, False), (Role.FINANCE, True), (Role.DEVELOPER, True)]
)
def test_each_role_sees_what_it_may(admin, member, role, sees_cost):
    version, model = add_version(admin.scope), add_model(admin.scope)
    add_trained(admin.scope, model, version)
    shown = page(member(role))
    assert ("Cost so far" in shown) is sees_cost
    assert ("First steps" in shown) is (role is Role.DEVELOPER)
    assert ("New fine-tune" in shown) is (role is Role.DEVELOPER)
    assert "Latest fine-tunes" in shown


def test_a_viewer_of_a_new_tenant_is_told_whom_to_ask(admin, member):
    assert "Nothing trained yet" in page(member(Role.VIEWER))


def test_staff_go_to_the_tenants(staff):
    assert staff().client.get("/").location == "/operator/tenants"


def test_another_tenants_work_is_not_shown(admin, other_admin):
    version, model = add_version(admin.scope), add_model(admin.scope, "secret-model")
    add_job(admin.scope, model, version, JobStatus.TRAINING)
    assert "secret-model" not in page(other_admin)
