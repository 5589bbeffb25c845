"""Work across tenants goes through `operator_session` and `operator_connection` alone, and every caller is listed here with its reason.

A new caller is a decision about isolation: add it only when the work cannot be done inside one tenant.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "billing", "training", "inference", "portal")


def callers() -> set[str]:
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = (
                    getattr(node.func, "id", getattr(node.func, "attr", ""))
                    if isinstance(node, ast.Call)
                    else ""
                )
                if name in ("operator_session", "operator_connection", "operator_engine"):
                    found.add(path.relative_to(ROOT).as_posix())
    return found


EXPECTED = {
    "billing/recording.py",
    "billing/stripe/catalogue_sync.py",
    "billing/stripe/checkout.py",
    "billing/stripe/drafts.py",
    "billing/stripe/inbox.py",
    "billing/stripe/leaving.py",
    "billing/stripe/locks.py",
    "billing/stripe/meter_errors.py",
    "billing/stripe/mirror.py",
    "billing/stripe/promotions.py",
    "billing/stripe/pushing.py",
    "billing/stripe/reporting.py",
    "billing/stripe/review.py",
    "billing/stripe/subscriptions.py",
    "billing/stripe/sweep.py",
    "core/db.py",
    "inference/gateway/auth.py",
    "portal/account_mail.py",
    "portal/cli.py",
    "portal/identity.py",
    "portal/periodic.py",
    "portal/views/auth.py",
    "portal/views/deletion.py",
    "portal/views/links.py",
    "portal/views/operator/audit.py",
    "portal/views/operator/caps.py",
    "portal/views/operator/corrections.py",
    "portal/views/operator/credit_notes.py",
    "portal/views/operator/credits.py",
    "portal/views/operator/invoices.py",
    "portal/views/operator/journal.py",
    "portal/views/operator/money_log.py",
    "portal/views/operator/plans.py",
    "portal/views/operator/pool.py",
    "portal/views/operator/queue.py",
    "portal/views/operator/receivables.py",
    "portal/views/operator/reconciliation.py",
    "portal/views/operator/revenue.py",
    "portal/views/operator/stripe.py",
    "portal/views/operator/tenants.py",
    "portal/views/passkey_sign_in.py",
    "portal/views/stripe_webhook.py",
    "training/scheduler.py",
}


def test_every_caller_of_the_operators_door_is_listed():
    assert callers() == EXPECTED
