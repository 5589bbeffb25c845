"""What the drill does in the stack's own settings: `python -m tests.stack.drill prepare|give-up|audit`, in JSON."""

import json
import sys
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from billing.budgets import set_budget
from billing.periods import Month
from billing.plans import subscribe
from billing.stripe import outbox
from core import api_keys
from core.api_keys import KeyLimits
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.batches import Batch
from core.models.budgets import BudgetReservation, UsageCounter
from core.models.kept_answers import KeptAnswer
from core.models.stripe import StripeCustomer, UsageReport
from core.models.usage import UsageFact, UsageKind
from core.tenancy import system_scope
from portal.accounts import sign_up
from tests.inference.adapter_files import Reference
from tests.inference.conftest import publish

MODEL = "support"
_AMPLE = 10**9


def prepare() -> dict[str, str]:
    """A tenant with a model, a key for all of the API, and a cap that it does not reach."""
    with operator_session("drill") as session:
        tenant, _ = sign_up(
            session,
            tenant_name="Drill",
            name="Ada",
            email="ada@drill.example",
            password="correct horse battery",
        )
        subscribe(session, tenant.id, "scale")
        session.commit()
    scope = system_scope(tenant.id, "drill")
    with tenant_session(scope) as session:
        _, plain = api_keys.create(session, scope, "drill", may_manage=True, limits=KeyLimits(_AMPLE, _AMPLE))
        set_budget(session, scope, api_key_id=None, monthly_cents=_AMPLE, is_cap=True, webhook_url=None)
        session.commit()
    with operator_session("drill") as session:
        session.add(_at_stripe(tenant.id))
        session.commit()
    publish(scope, MODEL, Reference(["delivery", "other", "refund"], seed=11))
    return {"tenant_id": str(tenant.id), "key": plain}


def _at_stripe(tenant_id: UUID) -> StripeCustomer:
    """A customer of whom Stripe counts all usage, though nobody sends it any here."""
    start = Month.containing(now()).start
    return StripeCustomer(
        tenant_id=tenant_id,
        customer_id="cus_drill",
        subscription_id="sub_drill",
        collects_from=start.date(),
        counted_from=dict.fromkeys(UsageKind, start.isoformat()),
        fetched_at=now(),
    )


def give_up_on_lost_workers() -> dict[str, str]:
    """Have the clock take for dead, at once, whoever was at a batch or at one of its lines."""
    with operator_session("drill") as session:
        session.execute(
            update(Batch)
            .where(Batch.heartbeat_at.is_not(None))
            .values(heartbeat_at=now() - timedelta(hours=1))
        )
        session.execute(
            update(KeptAnswer).where(KeptAnswer.sealed_answer.is_(None)).values(claimed_until=now())
        )
        session.commit()
    return {}


def audit(tenant_id: UUID) -> dict[str, object]:
    """The ledger's facts, and beside them what counts for the cap, and what Stripe is to be told."""
    with operator_session("drill") as session:
        facts = session.execute(
            select(UsageFact.request_id, UsageFact.quantity).where(UsageFact.tenant_id == tenant_id)
        )
        counted = session.execute(
            select(UsageCounter.kind, func.sum(UsageCounter.quantity))
            .where(UsageCounter.tenant_id == tenant_id, UsageCounter.api_key_id.is_(None))
            .group_by(UsageCounter.kind)
        )
        reports = outbox.make_reports(session, now() + timedelta(hours=2))
        reserved = select(func.count()).where(BudgetReservation.tenant_id == tenant_id)
        to_report = select(func.sum(UsageReport.quantity)).where(UsageReport.tenant_id == tenant_id)
        return {
            "facts": [list(row) for row in facts],
            "counted": {kind: int(quantity) for kind, quantity in counted},
            "reserved": session.scalar(reserved),
            "to_report": int(session.scalar(to_report) or 0),
            "reports": reports,
            "reports_made_again": outbox.make_reports(session, now() + timedelta(hours=2)),
        }


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "audit":
        print(json.dumps(audit(UUID(arguments[0]))))
    else:
        print(json.dumps(prepare() if command == "prepare" else give_up_on_lost_workers()))
