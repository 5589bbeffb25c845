"""The operator's pages: tenants, queue, pool and log."""

import pytest
from sqlalchemy import select

from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent, StaffEvent
from core.models.fine_tune_jobs import FineTuneJob, JobStatus
from core.models.models import Adapter, Model
from core.models.tenants import Tenant
from core.models.usage import UsageFact, UsageKind, UsageSource
from core.tenancy import StaffRole
from inference.gateway.pool_client import PoolClient
from portal.pool_state import describe
from stack.ports import free_port
from tests.world import build_world


@pytest.fixture
def operator(staff):
    return staff(StaffRole.ADMIN).client


def page(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def use(person, tokens: int) -> None:
    with tenant_session(person.scope) as session:
        session.add(
            UsageFact(
                tenant_id=person.scope.tenant_id,
                request_id=f"request-{tokens}",
                kind=UsageKind.PREDICTION,
                quantity=tokens,
                source=UsageSource.API,
                occurred_at=now(),
            )
        )
        session.commit()


def test_the_list_shows_each_tenants_usage_of_the_month(operator, admin, other_admin):
    use(admin, 12345)
    shown = page(operator, "/operator/tenants")
    assert f"Tenant {admin.email}" in shown
    assert f"Tenant {other_admin.email}" in shown
    assert "12,345" in shown


def test_the_search_takes_a_part_of_the_name(operator, admin, other_admin):
    shown = page(operator, f"/operator/tenants?q={admin.email.upper()}")
    assert f"Tenant {admin.email}" in shown
    assert f"Tenant {other_admin.email}" not in shown
    assert "No tenant has this in its name" in page(operator, "/operator/tenants?q=%25%25")


def test_a_suspended_tenant_is_out_at_once_and_back_when_reactivated(operator, admin, sign_in):
    path = f"/operator/tenants/{admin.scope.tenant_id}"
    assert operator.post(f"{path}/suspend", data={"reason": "Unpaid since May."}).status_code == 303
    assert admin.client.get("/members").location.startswith("/login")
    assert "Suspended" in page(operator, path)
    assert operator.post(f"{path}/reactivate").status_code == 303
    assert sign_in(admin.email).get("/members").status_code == 200


def test_a_suspension_is_in_both_logs_and_its_reason_in_the_operators_alone(operator, admin):
    path = f"/operator/tenants/{admin.scope.tenant_id}"
    for _ in range(2):  # the second time changes nothing, and notes nothing
        operator.post(f"{path}/suspend", data={"reason": "Unpaid since May."})
    with operator_session("test") as session:
        staff_event = session.scalars(select(StaffEvent).where(StaffEvent.action == "tenant.suspended")).one()
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "tenant.suspended")).one()
    assert staff_event.detail["reason"] == "Unpaid since May."
    assert (event.actor_label, event.detail) == ("operator", {})
    assert "Tenant: suspended" in page(operator, "/operator/audit")


def test_a_suspension_needs_a_reason(operator, admin):
    response = operator.post(f"/operator/tenants/{admin.scope.tenant_id}/suspend", data={"reason": " "})
    assert response.status_code == 422
    assert "Say why." in response.get_data(as_text=True)
    with operator_session("test") as session:
        assert session.get_one(Tenant, admin.scope.tenant_id).status == "active"


def test_finance_sees_tenants_and_cannot_suspend_them(staff, admin):
    finance = staff(StaffRole.FINANCE).client
    path = f"/operator/tenants/{admin.scope.tenant_id}"
    assert "Suspend tenant" not in page(finance, path)
    assert finance.post(f"{path}/suspend", data={"reason": "No."}).status_code == 403


def test_the_queue_shows_every_tenants_work_and_silent_workers(operator, admin):
    world = build_world(admin.scope)
    with tenant_session(admin.scope) as session:
        job = session.get_one(FineTuneJob, world.arguments["job_id"])
        job.status, job.progress, job.attempt = JobStatus.TRAINING, 0.42, 2
        session.commit()
    shown = page(operator, "/operator/queue")
    assert world.model_name in shown
    assert f"Tenant {admin.email}" in shown
    assert "42 %" in shown
    assert "never" in shown  # it runs, and its worker has never been heard of
    assert "No worker serves the queue" in shown


def test_the_queue_keeps_itself_up_to_date(operator):
    part = operator.get("/operator/queue", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert part.lstrip().startswith("<div")
    assert 'hx-trigger="every 5s"' in part


def test_a_pool_that_cannot_be_reached_is_shown_as_such(operator, monkeypatch):
    nowhere = PoolClient(f"http://127.0.0.1:{free_port()}", get_settings().pool_ticket_key)
    monkeypatch.setattr("portal.views.operator.pool.pool_client", lambda: nowhere)
    assert "The pool cannot be reached" in page(operator, "/operator/pool")


def test_the_pools_adapters_get_their_tenants_and_models_names(admin):
    world = build_world(admin.scope)
    tenant_id = str(admin.scope.tenant_id)
    with operator_session("test") as session:
        adapter = session.get_one(Adapter, world.arguments["adapter_id"])
        model = session.get_one(Model, world.arguments["model_id"])
        state = describe(
            session,
            {
                "base_models": [adapter.base_model],
                "adapters": [
                    {
                        "tenant": tenant_id,
                        "adapter": adapter.digest,
                        "base": adapter.base_model,
                        "bytes": 100,
                    },
                    {"tenant": tenant_id, "adapter": "f" * 64, "base": adapter.base_model, "bytes": 50},
                ],
                "adapter_bytes": 150,
                "adapter_budget_bytes": 600,
                "queued_tokens": 7,
                "queues": {tenant_id: 7},
            },
        )
    assert [(row.tenant, row.model) for row in state.adapters] == [
        (f"Tenant {admin.email}", model.name),
        (f"Tenant {admin.email}", None),
    ]
    assert (state.share_used, state.queues[0].tokens) == (0.25, 7)
