"""Models in the portal: the list, versions beside each other, promotion, and how to call one."""

import pytest
from sqlalchemy import select

from billing import ledger
from core.clock import now
from core.db import tenant_session
from core.models.audit import AuditEvent
from core.models.models import Model
from core.models.usage import UsageKind, UsageSource
from core.tenancy import Role
from tests.portal.trained import add_model, add_trained, add_version, change, get


def page(person, path, status=200) -> str:
    response = person.client.get(path, follow_redirects=True)
    assert response.status_code == status
    text: str = response.get_data(as_text=True)
    return text


@pytest.fixture
def version(admin):
    return add_version(admin.scope)


@pytest.fixture
def model(admin):
    return add_model(admin.scope)


def test_without_models_the_page_says_how_to_get_one(admin, member):
    assert "Start a fine-tune" in page(admin, "/models")
    assert "Ask an admin or a developer" in page(member(Role.VIEWER), "/models")


def test_the_list_has_the_live_version_its_accuracy_and_the_months_use(admin, model, version):
    adapter = add_trained(admin.scope, model, version, accuracy=0.93)
    change(admin.scope, model, current_adapter_id=adapter.id)
    with tenant_session(admin.scope) as session:
        for number in range(3):
            used = ledger.Usage(
                f"request-{number}", UsageKind.PREDICTION, 40, UsageSource.API, inputs=2, model_id=model.id
            )
            ledger.record(session, admin.scope.tenant_id, used)
        session.commit()
    shown = page(admin, "/models")
    for words in (
        "triage",
        "Version 1",
        "Live",
        "93.0 %",
        f"Requests in {now():%B}",
        '<td class="num">3</td>',
    ):
        assert words in shown
    alone = page(admin, f"/models/{model.id}")
    assert "6 texts in" in alone
    assert "120" in alone


def test_a_model_whose_first_job_is_not_done_has_no_version_yet(admin, model):
    assert "None yet" in page(admin, "/models")
    assert "No versions yet" in page(admin, f"/models/{model.id}")


def test_versions_stand_beside_each_other_with_what_may_become_of_them(admin, model, version):
    first = add_trained(admin.scope, model, version, 1, accuracy=0.91)
    add_trained(admin.scope, model, version, 2, accuracy=0.85, reason="It does not beat its probe.")
    third = add_trained(admin.scope, model, version, 3, accuracy=0.94)
    change(admin.scope, model, current_adapter_id=first.id)
    shown = page(admin, f"/models/{model.id}")
    for words in (
        "91.0 %",
        "86.0 % – 96.0 %",
        "85.0 %",
        "94.0 %",
        "Answers calls",
        "It does not beat its probe.",
    ):
        assert words in shown
    assert shown.count("/promote") == 1
    assert f"/models/{model.id}/versions/{third.id}/promote" in shown
    for words in (
        "curl http",
        "httpx.post",
        "triage",
        f"/fine-tunes/{third.job_id}",
        f"/datasets/versions/{version.id}",
        "/playground?model=triage",
        "/fine-tunes/new?model_name=triage",
    ):
        assert words in shown


def test_a_promoted_version_answers_from_then_on_and_it_is_audited(admin, model, version):
    first, second = (add_trained(admin.scope, model, version, number) for number in (1, 2))
    change(admin.scope, model, current_adapter_id=first.id)
    answer = admin.client.post(f"/models/{model.id}/versions/{second.id}/promote", follow_redirects=True)
    assert "Version 2 of triage answers from now on." in answer.get_data(as_text=True)
    assert get(admin.scope, Model, model.id).current_adapter_id == second.id
    with tenant_session(admin.scope) as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "model.promoted")).one()
    assert (event.actor_label, event.detail["before"]) == (admin.email, str(first.id))


def test_a_version_that_may_not_be_promoted_is_not(admin, model, version):
    adapter = add_trained(admin.scope, model, version, reason="It does not beat its probe.")
    answer = admin.client.post(f"/models/{model.id}/versions/{adapter.id}/promote", follow_redirects=True)
    assert "Version 1 was not promoted. It does not beat its probe." in answer.get_data(as_text=True)
    assert get(admin.scope, Model, model.id).current_adapter_id is None


def test_another_models_version_is_not_found_under_this_one(admin, model, version):
    other = add_model(admin.scope, "other")
    adapter = add_trained(admin.scope, other, version)
    assert admin.client.post(f"/models/{model.id}/versions/{adapter.id}/promote").status_code == 404


def test_a_viewer_compares_and_promotes_nothing(admin, member, model, version):
    adapter = add_trained(admin.scope, model, version)
    viewer = member(Role.VIEWER)
    shown = page(viewer, f"/models/{model.id}")
    assert "90.0 %" in shown
    assert "/promote" not in shown
    assert "/playground" not in shown
    assert viewer.client.post(f"/models/{model.id}/versions/{adapter.id}/promote").status_code == 403


def test_another_tenants_model_does_not_exist(admin, other_admin, model, version):
    adapter = add_trained(admin.scope, model, version)
    assert other_admin.client.get(f"/models/{model.id}").status_code == 404
    assert other_admin.client.post(f"/models/{model.id}/versions/{adapter.id}/promote").status_code == 404
    assert "triage" not in page(other_admin, "/models")


def test_labels_are_compared_between_versions_the_most_different_first(admin, model, version):
    first = add_trained(admin.scope, model, version, 1)
    assert "F1 by label and version" not in page(admin, f"/models/{model.id}")
    add_trained(admin.scope, model, version, 2, f1={"delivery": 0.95, "refund": 0.4})
    change(admin.scope, model, current_adapter_id=first.id)
    table = page(admin, f"/models/{model.id}").partition("F1 by label and version")[2]
    assert "Version 1 (live)" in table
    assert table.index("40.0 %") < table.index("95.0 %")
