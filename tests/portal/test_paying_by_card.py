"""A tenant that pays by card, in a real browser: from Stripe's Checkout to a paid invoice, and past a declined card."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import select

from billing.ledger import Usage, record
from billing.periods import Month
from billing.plans import subscribe
from billing.stripe.catalogue_sync import sync_catalogue
from billing.stripe.client import get_stripe_client
from core import api_keys
from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.stripe import StripeCustomer
from core.models.usage import UsageKind, UsageSource
from core.tenancy import TenantScope
from portal.api.app import create_api
from stack.ports import HOST, free_port
from tests.chromium import needs_chromium
from tests.fake_stripe.server import FakeStripe
from tests.people import PASSWORD, Person
from tests.portal.served import World, serving

pytestmark = needs_chromium

GRACE = timedelta(days=7)
MISSING = "A payment is missing"
GOOD_CARD, REFUSED_CARD = "pm_card_visa", "pm_card_chargeCustomerFail"


@dataclass
class Story:
    """A tenant on a paid plan, its key, its admin's browser, and the world around them."""

    world: World
    fake: FakeStripe
    scope: TenantScope
    email: str
    key: str
    page: Page
    api_url: str
    troubles: list[str]
    next_card: str = GOOD_CARD

    def open(self, path: str) -> None:
        """Go to a page of the portal, and sign in on the way there where the session has run out by now."""
        self.page.goto(path)
        if urlsplit(self.page.url).path == "/login":
            self.page.get_by_label("E-mail").fill(self.email)
            self.page.get_by_label("Password").fill(PASSWORD)
            self.page.get_by_role("button", name="Sign in").click()
            expect(self.page).to_have_url(re.compile(f"{re.escape(path)}$"))

    def ask_api(self) -> httpx.Response:
        """A request of the tenant's app."""
        return httpx.get(f"{self.api_url}/v1/models", headers={"Authorization": f"Bearer {self.key}"})

    def use(self, quantity: int) -> None:
        """What its app used just now."""
        usage = Usage(f"request-{now().timestamp()}", UsageKind.PREDICTION, quantity, UsageSource.API)
        with tenant_session(self.scope) as session:
            record(session, self.scope.tenant_id, usage)
            session.commit()

    def answer_for_stripe(self, route: Route) -> None:
        """Stripe's own pages: the person gives the next card there, and comes back."""
        address = urlsplit(route.request.url)
        if address.hostname == "checkout.stripe.com":
            back = self.fake.complete_checkout(address.path.rsplit("/", 1)[1], self.next_card)
        else:
            with operator_session("test") as session:
                customer = session.scalars(select(StripeCustomer.customer_id)).one()
            self.fake.replace_card(customer, self.next_card)
            back = f"{get_settings().portal_url}/payment"
        route.fulfill(status=303, headers={"Location": back})


@pytest.fixture
def urls(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Where the portal and the API are reached: what goes to Stripe and comes back has them in it."""
    portal_url, api_url = (f"http://{HOST}:{free_port()}" for _ in range(2))
    monkeypatch.setenv("PORTAL_URL", portal_url)
    monkeypatch.setenv("API_URL", api_url)
    return portal_url, api_url


@pytest.fixture
def story(
    urls: tuple[str, str],
    fake_stripe: FakeStripe,
    portal: Flask,
    admin: Person,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Story]:
    portal_url, api_url = urls
    assert admin.scope is not None
    world = World(fake_stripe, portal_url, monkeypatch)
    # In the middle of a month, so that what is used a few hours later is used in it, too.
    world.travel(Month.containing(now()).end + timedelta(days=10))
    sync_catalogue(get_stripe_client())
    with operator_session("test") as session:
        subscribe(session, admin.scope.tenant_id, "starter", now())
        session.commit()
    with tenant_session(admin.scope) as session:
        _, plain = api_keys.create(session, admin.scope, "shop")
        session.commit()
    page = browser.new_context(base_url=portal_url).new_page()
    page.set_default_timeout(15_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    story = Story(world, fake_stripe, admin.scope, admin.email, plain, page, api_url, troubles)
    page.route("https://*.stripe.com/**", story.answer_for_stripe)
    with (
        serving(portal, urlsplit(portal_url).port or 0),
        serving(create_api(), urlsplit(api_url).port or 0),
    ):
        world.connect()
        story.open("/payment")
        yield story


def test_from_checkout_to_a_paid_invoice_and_past_a_declined_card(story: Story) -> None:
    give_a_card(story)
    pay_a_month(story)
    be_suspended_for_a_card_that_is_refused(story)
    pay_and_be_reinstated(story)
    assert story.troubles == []


def give_a_card(story: Story) -> None:
    page = story.page
    page.get_by_role("button", name="Add a card").click()
    expect(page.get_by_text("The card is saved.")).to_be_visible()
    expect(page.get_by_text("Visa ending in 4242")).to_be_visible()


def use_a_month(story: Story) -> None:
    """Use a few hours from now on, and go to when the month's invoice is issued."""
    month = Month.containing(now())
    story.world.travel(now() + timedelta(hours=2))
    story.use(90_000_000)
    story.world.travel(month.end + timedelta(minutes=10))


def pay_a_month(story: Story) -> None:
    use_a_month(story)
    story.open("/invoices")
    newest = story.page.get_by_role("row").nth(1)
    expect(newest).to_contain_text("Open")
    story.world.travel(now() + timedelta(hours=1))
    story.page.reload()
    expect(newest).to_contain_text("Paid")


def be_suspended_for_a_card_that_is_refused(story: Story) -> None:
    change_card(story, REFUSED_CARD)
    use_a_month(story)
    story.world.travel(now() + timedelta(hours=1))
    assert story.ask_api().status_code == 200
    story.open("/invoices")
    newest = story.page.get_by_role("row").nth(1)
    expect(newest).to_contain_text("Open")
    newest.get_by_role("link").first.click()
    expect(story.page.get_by_text("The card was refused")).to_be_visible()
    expect(story.page.get_by_role("link", name="Pay at Stripe")).to_be_visible()
    expect(story.page.get_by_role("status").filter(has_text=MISSING)).to_be_visible()

    story.world.travel(now() + GRACE)
    refusal = story.ask_api()
    assert refusal.status_code == 402
    assert refusal.json()["error"]["code"] == "payment_required"
    story.open("/invoices")
    expect(story.page.get_by_role("alert").filter(has_text=MISSING)).to_contain_text("keys are refused")


def pay_and_be_reinstated(story: Story) -> None:
    change_card(story, GOOD_CARD)
    story.world.travel(now() + timedelta(days=4))
    story.open("/invoices")
    expect(story.page.get_by_role("row").nth(1)).to_contain_text("Paid")
    expect(story.page.get_by_text(MISSING)).to_have_count(0)
    assert story.ask_api().status_code == 200


def change_card(story: Story, card: str) -> None:
    """Give another card on Stripe's pages."""
    story.next_card = card
    story.open("/payment")
    story.page.get_by_role("button", name="Manage at Stripe").click()
    expect(story.page).to_have_url(f"{get_settings().portal_url}/payment")
    story.world.work()
