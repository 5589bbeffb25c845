"""The sidebar: what there is to go to, for whom."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask, current_app, request, url_for
from flask_login import current_user

from core.tenancy import Permission, StaffPermission


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the sidebar; without a permission it is everybody's who is signed in.

    `also` is a noun within the entry's own that has a blueprint to itself.
    """

    label: str
    endpoint: str
    icon: str
    permission: Permission | StaffPermission | None = None
    also: str | None = None

    @property
    def url(self) -> str:
        return url_for(self.endpoint)

    @property
    def is_current(self) -> bool:
        """Whether the page that is shown belongs to the entry's noun."""
        return request.blueprint in (self.endpoint.partition(".")[0], self.also)


@dataclass(frozen=True, slots=True)
class Group:
    """Entries under a heading; the first group has none."""

    title: str | None
    links: Sequence[Link]


TENANT = (
    Group(None, (Link("Dashboard", "dashboard.show", "layout-dashboard"),)),
    Group(
        "Build",
        (
            Link("Datasets", "datasets.index", "database", Permission.DATASETS_READ, also="findings"),
            Link("Fine-tunes", "fine_tunes.index", "sliders-horizontal", Permission.JOBS_READ),
            Link("Models", "models.index", "boxes", Permission.MODELS_READ),
        ),
    ),
    Group(
        "Use",
        (
            Link("Playground", "playground.index", "terminal", Permission.PREDICT),
            Link("API keys", "keys.index", "key-round", Permission.KEYS_READ),
            Link("API reference", "api_docs.show", "book-open", Permission.MODELS_READ),
        ),
    ),
    Group(
        "Billing",
        (
            Link("Usage", "usage.index", "chart-column", Permission.USAGE_READ),
            Link("Budgets", "budgets.index", "gauge", Permission.USAGE_READ),
            Link("Invoices", "invoices.index", "receipt", Permission.INVOICES_READ),
            Link("Credits", "credits.index", "wallet", Permission.INVOICES_READ),
            Link("Payment", "payment.index", "credit-card", Permission.INVOICES_READ),
        ),
    ),
    Group(
        "Tenant",
        (
            Link("Members", "members.index", "users", Permission.MEMBERS_READ),
            Link("Privacy", "privacy.index", "shield-check", Permission.PRIVACY_READ),
            Link("Retention", "retention.show", "hourglass", Permission.PRIVACY_READ),
            Link("Audit log", "audit.index", "scroll-text", Permission.AUDIT_READ),
            Link("Export", "exports.index", "download", Permission.TENANT_EXPORT),
            Link("Delete", "deletion.show", "trash-2", Permission.TENANT_DELETE),
        ),
    ),
)

STAFF = (
    Group(
        "Customers",
        (
            Link("Tenants", "operator_tenants.index", "building-2", StaffPermission.TENANTS_READ),
            Link("Plans", "operator_plans.index", "tags", StaffPermission.PLANS_READ),
        ),
    ),
    Group(
        "Finance",
        (
            Link("Invoices", "operator_invoices.index", "receipt", StaffPermission.INVOICES_READ),
            Link("Credit notes", "operator_credit_notes.index", "file-text", StaffPermission.INVOICES_READ),
            Link("Receivables", "operator_receivables.index", "hourglass", StaffPermission.INVOICES_READ),
            Link("Revenue", "operator_revenue.index", "chart-line", StaffPermission.INVOICES_READ),
            Link("Budgets", "operator_caps.index", "gauge", StaffPermission.INVOICES_READ),
            Link(
                "Reconciliation",
                "operator_reconciliation.index",
                "circle-check",
                StaffPermission.INVOICES_READ,
            ),
            Link("Stripe", "operator_stripe.reports", "credit-card", StaffPermission.INVOICES_READ),
            Link("Journal", "operator_journal.index", "book-open", StaffPermission.INVOICES_READ),
            Link("Corrections", "operator_corrections.index", "rotate-ccw", StaffPermission.INVOICES_READ),
            Link("Money log", "operator_money_log.index", "history", StaffPermission.INVOICES_READ),
        ),
    ),
    Group(
        "Running",
        (
            Link("Queue", "operator_queue.index", "list-ordered", StaffPermission.QUEUE_READ),
            Link("Pool", "operator_pool.index", "server", StaffPermission.POOL_READ),
            Link("Audit log", "operator_audit.index", "scroll-text", StaffPermission.AUDIT_READ),
        ),
    ),
)


def sidebar() -> Sequence[Group]:
    """The groups that the signed-in person may see something of; none where nobody is signed in."""
    if not current_user.is_authenticated:
        return ()
    person = current_user
    permissions = person.permissions if person.is_staff else person.scope.permissions
    groups = []
    for group in STAFF if person.is_staff else TENANT:
        links = [
            link
            for link in group.links
            if (link.permission is None or link.permission in permissions)
            and link.endpoint in current_app.view_functions
        ]
        if links:
            groups.append(Group(group.title, links))
    return groups


def init_app(app: Flask) -> None:
    """Give templates `sidebar`."""
    app.context_processor(lambda: {"sidebar": sidebar})
