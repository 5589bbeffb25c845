"""The playground's conversations in a real browser: answers that come piece by piece, and are metered as streams are."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Route, expect

from core.config import get_settings
from core.models.usage import UsageKind, UsageSource
from core.waiting import wait_until
from inference.gateway import chat
from inference.gateway.pool_client import PoolClient
from stack.ports import HOST, free_port
from tests.billing.capped import cap, put_on_plan, reserved
from tests.chromium import needs_chromium
from tests.inference.chat_files import ChatReference
from tests.inference.conftest import PASSWORD, Caller, publish
from tests.inference.pool_process import PoolProcess
from tests.portal.served import serving

pytestmark = needs_chromium

SECONDS = 30
MILLISECONDS = SECONDS * 1000
STORY = "Write a very long story about the sea."


@pytest.fixture(scope="module")
def portal_url(whole_pool: PoolProcess) -> Iterator[str]:
    """The portal over HTTP, in front of a pool that chats."""
    from portal.app import create_portal

    port = free_port()
    app: Flask = create_portal()
    app.config["RATELIMIT_ENABLED"] = False
    with pytest.MonkeyPatch.context() as patch, serving(app, port):
        patch.setattr(chat, "pool_client", lambda: PoolClient(whole_pool.url, get_settings().pool_ticket_key))
        yield f"http://{HOST}:{port}"


def open_chat(browser: Browser, url: str, caller: Caller, *, scripts: bool = True) -> Page:
    """The conversation with `faq`, for the caller's admin."""
    publish(caller.scope, "faq", ChatReference(seed=5))
    page = browser.new_context(base_url=url, java_script_enabled=scripts).new_page()
    page.goto("/login")
    page.get_by_label("E-mail").fill(caller.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto("/playground/chat")
    return page


@pytest.fixture
def page(browser: Browser, portal_url: str, caller: Caller) -> Iterator[Page]:
    page = open_chat(browser, portal_url, caller)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    assert troubles == []


def send(page: Page, text: str, longest: int = 8) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_label("Longest answer").fill(str(longest))
    page.get_by_role("button", name="Send").click()


def answers(page: Page) -> list[str]:
    return page.locator("li[data-role=assistant] > p").all_text_contents()


def test_an_answer_grows_on_the_page_and_the_conversation_goes_on(page: Page, caller: Caller) -> None:
    page.evaluate(
        """() => {
            window.lengths = [];
            new MutationObserver(() => {
                const answer = document.querySelector("li[data-role=assistant]:last-child > p");
                if (answer) window.lengths.push(answer.textContent.length);
            }).observe(document.getElementById("main"), { childList: true, subtree: true, characterData: true });
        }"""
    )
    send(page, "Hello?")
    expect(page.get_by_text("8 written; the answer was cut off at its longest.")).to_be_visible(
        timeout=MILLISECONDS
    )
    assert len(set(page.evaluate("window.lengths"))) > 3
    send(page, "And then?")
    expect(page.locator("li[data-role=assistant]")).to_have_count(2, timeout=MILLISECONDS)
    expect(page.get_by_text("8 written")).to_be_visible(timeout=MILLISECONDS)
    first, second = caller.facts()[:2], caller.facts()[2:]
    for read, written in (first, second):
        assert (read.kind, written.kind) == (UsageKind.CHAT_INPUT, UsageKind.CHAT_OUTPUT)
        assert {read.source, written.source} == {UsageSource.PLAYGROUND}
        assert written.quantity == 8
    assert second[0].quantity >= first[0].quantity + 8  # it read the first answer, too


def test_stop_frees_the_models_slot_and_bills_what_was_written(
    page: Page, caller: Caller, whole_pool: PoolProcess
) -> None:
    longest = 1500
    send(page, STORY, longest)
    expect(page.locator("li[data-role=assistant] > p")).not_to_be_empty(timeout=MILLISECONDS)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible(timeout=MILLISECONDS)
    assert wait_until(lambda: whole_pool.look()["chat"]["rows"] == 0, SECONDS)
    assert wait_until(lambda: len(caller.facts()) == 2, SECONDS)
    assert 1 <= caller.facts()[1].quantity < longest / 2
    stopped = answers(page)[0]
    send(page, "Go on.")
    expect(page.get_by_text("8 written")).to_be_visible(timeout=MILLISECONDS)
    assert answers(page)[0] == stopped


def test_where_the_budget_is_used_up_the_page_says_so_and_keeps_the_message(
    page: Page, caller: Caller
) -> None:
    put_on_plan(caller.scope, chat_input={"unit_amount": Decimal(1)}, chat_output={"unit_amount": Decimal(1)})
    cap(caller.scope, 3)
    send(page, "Hello?")
    expect(page.get_by_role("alert")).to_contain_text("budget", timeout=MILLISECONDS)
    expect(page.get_by_label("Message", exact=True)).to_have_value("Hello?")
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=MILLISECONDS)
    assert caller.facts() == []
    assert reserved(caller.scope) == 0


def test_an_answer_that_breaks_off_stays_with_the_reason(page: Page) -> None:
    def break_off(route: Route) -> None:
        whole = route.fetch()
        route.fulfill(response=whole, body=whole.text().partition("event: ended")[0])

    page.route("**/playground/chat/stream", break_off)
    send(page, "Hello?")
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost.", timeout=MILLISECONDS)
    expect(page.get_by_role("alert")).to_contain_text("Not the whole answer")
    expect(page.locator("li[data-role=assistant] > p")).not_to_be_empty(timeout=MILLISECONDS)
    page.unroute("**/playground/chat/stream")
    send(page, "And then?")
    expect(page.locator("li[data-role=assistant]")).to_have_count(2, timeout=MILLISECONDS)
    expect(page.get_by_text("8 written")).to_be_visible(timeout=MILLISECONDS)


def test_without_scripts_the_whole_answer_comes_with_the_page(
    browser: Browser, portal_url: str, caller: Caller
) -> None:
    page = open_chat(browser, portal_url, caller, scripts=False)
    send(page, "Hello?")
    expect(page.get_by_text("8 written; the answer was cut off at its longest.")).to_be_visible(
        timeout=MILLISECONDS
    )
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    assert len(answers(page)) == 1
    assert len(caller.facts()) == 2
