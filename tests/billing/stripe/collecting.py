"""A tenant that pays by card, at a time of the past that the stand-in's clock and the tests agree on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from billing.close import close_month
from billing.periods import Month
from billing.stripe import drafts, inbox, outbox, reporting, subscriptions
from billing.stripe.catalogue_sync import sync_catalogue
from billing.stripe.checkout import ensure_customer, refresh_card
from billing.stripe.client import StripeClient
from core.db import operator_session
from core.models.billing import Invoice, InvoiceLine
from core.models.stripe import StripeCustomer, StripeEvent, StripeInvoice, UsageReport
from core.models.tenants import Tenant
from core.models.usage import UsageKind
from core.tenancy import Actor, ActorKind
from tests.billing.months import JANUARY, STAFF, old_tenant, use
from tests.fake_stripe.events import notification
from tests.fake_stripe.server import FakeStripe

CLOCK = Actor(ActorKind.SYSTEM, None, "clock")


@dataclass
class Collecting:
    """Stripe's stand-in and our side of it, at one time that the test moves. While it `is_told`, webhooks arrive."""

    fake: FakeStripe
    client: StripeClient
    is_told: bool = True

    def __post_init__(self) -> None:
        self.fake.listen(lambda event: self.receive(notification(event)) if self.is_told else None)

    @property
    def at(self) -> datetime:
        frozen = self.fake.account.frozen
        assert frozen is not None
        return datetime.fromtimestamp(frozen, JANUARY.start.tzinfo)

    def receive(self, event: dict[str, object]) -> None:
        """What the webhook does."""
        with operator_session("test") as session:
            inbox.receive(session, inbox.parse(event), self.at)
            session.commit()

    def travel(self, to: datetime) -> None:
        """Let time pass, and then handle what Stripe told of it."""
        self.fake.travel(int(to.timestamp()))
        self.handle()

    def handle(self) -> None:
        """Handle the inbox until it is empty: what is done in it sends events, too."""
        while inbox.handle_due(self.client, self.at):
            pass

    def subscribe(self, plan: str = "starter", card: str = "pm_card_visa") -> Tenant:
        """A tenant that gave a card now, and is collected from by Stripe."""
        with operator_session("test") as session:
            tenant = old_tenant(session, plan)
            session.commit()
        self.give_card(tenant, card)
        subscriptions.start(self.client, tenant.id, self.at)
        return tenant

    def give_card(self, tenant: Tenant, card: str) -> None:
        customer = ensure_customer(self.client, tenant.id, tenant.name, "finance@tenant.example")
        self.fake.replace_card(customer, card)
        refresh_card(self.client, customer, CLOCK)

    def use(
        self, tenant: Tenant, at: datetime, quantity: int, kind: UsageKind = UsageKind.PREDICTION
    ) -> None:
        with operator_session("test") as session:
            use(session, tenant, at, quantity, kind)
            session.commit()

    def report(self) -> None:
        """What the clock and the worker do about usage."""
        with operator_session("test") as session:
            outbox.make_reports(session, self.at)
            session.commit()
        reporting.send_due(self.client, self.at)

    def close(self, month: Month) -> None:
        """Close a month that is over, and bring its drafts as far as they go."""
        with operator_session("test") as session:
            close_month(session, month, STAFF, at=self.at)
            session.commit()
        self.advance()

    def advance(self) -> None:
        drafts.advance_all(self.client, self.at)
        self.handle()

    def turn(self, month: Month) -> None:
        """Let a month end, and do what follows within the hours after."""
        self.travel(month.end + timedelta(minutes=10))
        self.report()
        self.close(month)


def begin(fake: FakeStripe, client: StripeClient, at: datetime) -> Collecting:
    """Stripe's stand-in at a time of the past, with the catalogue in it."""
    fake.account.frozen = int(at.timestamp())
    sync_catalogue(client)
    return Collecting(fake, client)


def reports_of(tenant: Tenant) -> list[UsageReport]:
    with operator_session("test") as session:
        query = select(UsageReport).where(UsageReport.tenant_id == tenant.id)
        return list(session.scalars(query.order_by(UsageReport.hour, UsageReport.sequence)))


def invoice_of(tenant: Tenant, month: Month) -> Invoice:
    with operator_session("test") as session:
        query = select(Invoice).where(Invoice.tenant_id == tenant.id, Invoice.period_start == month.start)
        return session.scalars(query).one()


def lines_of(invoice: Invoice) -> list[InvoiceLine]:
    with operator_session("test") as session:
        query = select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id)
        return list(session.scalars(query.order_by(InvoiceLine.position)))


def mirror_of(tenant: Tenant, month: Month) -> StripeInvoice:
    with operator_session("test") as session:
        query = select(StripeInvoice).where(
            StripeInvoice.tenant_id == tenant.id, StripeInvoice.period_end == month.end
        )
        return session.scalars(query).one()


def customer_of(tenant_id: UUID) -> StripeCustomer:
    with operator_session("test") as session:
        return session.scalars(select(StripeCustomer).where(StripeCustomer.tenant_id == tenant_id)).one()


def unhandled() -> list[StripeEvent]:
    with operator_session("test") as session:
        return list(session.scalars(select(StripeEvent).where(StripeEvent.handled_at.is_(None))))
