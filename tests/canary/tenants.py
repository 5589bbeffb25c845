"""Tenants for the canary test, made in a stack's own settings: `python -m tests.canary.tenants`, in JSON."""

import json
from uuid import UUID

from billing.plans import subscribe
from core import api_keys
from core.api_keys import KeyLimits
from core.catalogue import Task
from core.db import operator_session, tenant_session
from core.tenancy import StaffRole, system_scope
from portal.accounts import create_staff, sign_up
from tests.inference.adapter_files import Reference
from tests.inference.conftest import publish

PASSWORD = "correct horse battery"
CLASSIFIER, TAGGER = "support", "tagger"
_AMPLE = 10**9


def make() -> dict[str, dict[str, str]]:
    """A tenant with models, another one, and one of the operator's staff: their addresses and API keys."""
    made = {name: _tenant(name) for name in ("canary", "other")}
    scope = system_scope(UUID(made["canary"]["id"]), "test")
    publish(scope, CLASSIFIER, Reference(["delivery", "other", "refund"], seed=11))
    publish(scope, TAGGER, Reference(["O", "B-X", "I-X"], seed=3, task=Task.TAGGING))
    with operator_session("test") as session:
        email = "staff@canary.example"
        create_staff(session, email=email, name="Joan", password=PASSWORD, role=StaffRole.ADMIN)
        session.commit()
    return {**made, "staff": {"email": email}}


def _tenant(name: str) -> dict[str, str]:
    email = f"ada@{name}.example"
    with operator_session("test") as session:
        tenant, _ = sign_up(session, tenant_name=f"Tenant {name}", name="Ada", email=email, password=PASSWORD)
        subscribe(session, tenant.id, "scale")
        session.commit()
    scope = system_scope(tenant.id, "test")
    with tenant_session(scope) as session:
        _, key = api_keys.create(session, scope, "test", may_manage=True, limits=KeyLimits(_AMPLE, _AMPLE))
        session.commit()
    return {"id": str(tenant.id), "email": email, "key": key}


if __name__ == "__main__":
    print(json.dumps(make()))
