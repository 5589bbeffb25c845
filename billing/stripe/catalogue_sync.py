"""Our catalogue at Stripe: a meter for each kind of usage, and for each plan a product and prices of each kind.

Everything has a name at Stripe that follows from ours, so that a run that died half-way, or two at once, make nothing
twice. What was made is never altered: a new version of a price is a new price there, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from billing.stripe.catalogue_prices import price_params
from billing.stripe.client import StripeClient, StripeMissing, StripeRefused
from billing.wording import KIND_TITLES
from core.clock import now
from core.db import operator_session
from core.models.billing import Plan, PlanPrice, PriceKind
from core.models.stripe import StripeObject
from core.models.usage import UsageKind

CUSTOMER_KEY, VALUE_KEY = "stripe_customer_id", "value"
"""The two entries of an event's payload."""

PORTAL_KEY = "1"
"""The version of the features below: with another one, a new configuration of the portal is made."""

_PORTAL_FEATURES = {
    "customer_update": {"enabled": True, "allowed_updates": ["name", "email", "address", "tax_id"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": False},
}


class StripeType(StrEnum):
    """What of the catalogue is at Stripe, and by which key of ours.

    METER: a usage kind. PRODUCT: `plan:kind`. PRICE: the id of a version of a price. PORTAL: the customer portal's
    features.
    """

    METER = "meter"
    PRODUCT = "product"
    PRICE = "price"
    PORTAL = "portal"


class NotAtStripe(LookupError):
    """`flask billing sync` has not made it yet."""


@dataclass
class SyncReport:
    """What a run made, by type and key, and how much was there already."""

    made: list[str] = field(default_factory=list)
    kept: int = 0


def get_stripe_id(session: Session, stripe_type: StripeType, local_key: str) -> str:
    """The id at Stripe of something of the catalogue. Raises NotAtStripe."""
    found = session.scalar(
        select(StripeObject.stripe_id).filter_by(stripe_type=stripe_type, local_key=local_key)
    )
    if found is None:
        raise NotAtStripe(f"The {stripe_type} {local_key} is not at Stripe: run flask billing sync.")
    return found


def event_name(kind: UsageKind) -> str:
    """What the events of a usage kind's meter are called."""
    return f"adaptary_{kind}"


def sync_catalogue(client: StripeClient) -> SyncReport:
    """Make what Stripe lacks of the catalogue; running it again makes nothing.

    Raises StripeUnavailable, after which it is to be run again, and StripeRefused, also where the ids that we keep
    are another account's.
    """
    with operator_session("read the catalogue, which is no tenant's") as session:
        run = _Run(client, _known(session))
        plans = session.scalars(select(Plan).order_by(Plan.position, Plan.code)).all()
        prices = _lasting_prices(session, now())
    run.refuse_other_account()
    for kind in UsageKind:
        run.ensure(StripeType.METER, kind, run.make_meter, kind)
    for plan in plans:
        for price in prices:
            if price.plan_code == plan.code:
                product = product_key(price)
                run.ensure(StripeType.PRODUCT, product, run.make_product, plan, price.kind)
                run.ensure(StripeType.PRICE, str(price.id), run.make_price, plan, price)
    run.ensure(StripeType.PORTAL, PORTAL_KEY, run.make_portal)
    return run.report


def product_key(price: PlanPrice) -> str:
    """The key of a price's product: a plan's usage of one kind."""
    return f"{price.plan_code}:{price.kind}"


def _known(session: Session) -> dict[tuple[str, str], str]:
    return {(row.stripe_type, row.local_key): row.stripe_id for row in session.scalars(select(StripeObject))}


def _lasting_prices(session: Session, at: datetime) -> list[PlanPrice]:
    """The prices of usage that are in force or will be: a subscription can have no other."""
    rows = session.scalars(
        select(PlanPrice).where(PlanPrice.kind.in_(list(UsageKind))).order_by(PlanPrice.effective_from)
    ).all()
    return [row for row in rows if not _is_replaced(row, rows, at)]


def _is_replaced(price: PlanPrice, prices: Sequence[PlanPrice], at: datetime) -> bool:
    return any(
        product_key(later) == product_key(price) and price.effective_from < later.effective_from <= at
        for later in prices
    )


class _Run:
    """One run: what is known of Stripe's side, and what was made."""

    def __init__(self, client: StripeClient, known: dict[tuple[str, str], str]) -> None:
        self.report = SyncReport()
        self._client = client
        self._known = known

    def refuse_other_account(self) -> None:
        """Raise StripeRefused where the ids that we keep are unknown to the account of this key."""
        meter = next((known for (kind, _), known in self._known.items() if kind == StripeType.METER), None)
        if meter is None:
            return
        try:
            self._client.get(f"/v1/billing/meters/{meter}")
        except StripeMissing:
            raise StripeRefused(
                "The catalogue was made in another Stripe account, or in the other of test and live mode. "
                "Use that account's STRIPE_SECRET_KEY, or a database of its own for this one."
            ) from None

    def ensure(
        self, stripe_type: StripeType, local_key: str, make: Callable[..., str], *about: object
    ) -> None:
        """Have something made unless its id is kept, and keep it."""
        if (stripe_type, local_key) in self._known:
            self.report.kept += 1
            return
        stripe_id = make(*about)
        with operator_session("note what of the catalogue is at Stripe") as session:
            session.execute(
                insert(StripeObject)
                .values(id=uuid4(), stripe_type=stripe_type, local_key=local_key, stripe_id=stripe_id)
                .on_conflict_do_nothing()
            )
            session.commit()
        self._known[stripe_type, local_key] = stripe_id
        self.report.made.append(f"{stripe_type} {local_key}")

    def make_meter(self, kind: UsageKind) -> str:
        name = event_name(kind)
        for meter in self._client.each("/v1/billing/meters", {"status": "active"}):
            if meter["event_name"] == name:
                return str(meter["id"])
        made = self._client.post(
            "/v1/billing/meters",
            {
                "display_name": KIND_TITLES[PriceKind(kind)],
                "event_name": name,
                "default_aggregation": {"formula": "sum"},
                "customer_mapping": {"type": "by_id", "event_payload_key": CUSTOMER_KEY},
                "value_settings": {"event_payload_key": VALUE_KEY},
            },
            key=f"meter-{name}",
        )
        return str(made["id"])

    def make_product(self, plan: Plan, kind: PriceKind) -> str:
        wanted = f"adaptary-{plan.code}-{kind}"
        try:
            return str(self._client.get(f"/v1/products/{wanted}")["id"])
        except StripeMissing:
            name = f"{KIND_TITLES[kind]}, {plan.name}"
            params = {"id": wanted, "name": name, "unit_label": "token", "metadata": {"plan": plan.code}}
            return str(self._client.post("/v1/products", params, key=f"product-{wanted}")["id"])

    def make_price(self, plan: Plan, price: PlanPrice) -> str:
        product = self._known[StripeType.PRODUCT, product_key(price)]
        meter = self._known[StripeType.METER, price.kind]
        params = price_params(price, plan.currency, product, meter)
        for found in self._client.each("/v1/prices", {"lookup_keys": [params["lookup_key"]]}):
            return str(found["id"])
        return str(self._client.post("/v1/prices", params, key=f"price-{price.id}")["id"])

    def make_portal(self) -> str:
        wanted = {"adaptary": PORTAL_KEY}
        for found in self._client.each("/v1/billing_portal/configurations", {"active": True}):
            if found["metadata"] == wanted:
                return str(found["id"])
        params = {"features": _PORTAL_FEATURES, "metadata": wanted}
        return str(
            self._client.post("/v1/billing_portal/configurations", params, key=f"portal-{PORTAL_KEY}")["id"]
        )
