"""Passkeys in a real browser with a virtual device: added, signed in with, used after a password, and removed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from core.config import get_settings
from stack.ports import free_port
from tests.chromium import needs_chromium
from tests.people import PASSWORD, Person
from tests.portal.served import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium


@pytest.fixture
def portal_url(portal: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The portal, served under a name, as passkeys want it."""
    port = free_port()
    monkeypatch.setenv("PORTAL_URL", f"http://localhost:{port}")
    get_settings.cache_clear()
    with serving(portal, port):
        yield f"http://localhost:{port}"
    get_settings.cache_clear()


@pytest.fixture
def page(browser: "Browser", portal_url: str) -> Iterator["Page"]:
    """A page whose browser has a device for passkeys that always sees its owner."""
    page = browser.new_context(base_url=portal_url).new_page()
    page.set_default_timeout(15_000)
    with watched(page):
        yield page


@contextmanager
def watched(page: "Page") -> Iterator[None]:
    """No script fails, and nothing breaks the content security policy."""
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda message: troubles.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield
    assert troubles == []


def with_device(page: "Page") -> Any:
    """A virtual device in the page's browser; its credentials can be asked for."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    device = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]
    return session, device


def sign_in_by_password(page: "Page", person: Person) -> None:
    page.goto("/login")
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: "Page") -> None:
    page.context.clear_cookies()
    page.goto("/login")


def test_a_passkey_from_being_added_to_being_removed(page: "Page", admin: Person) -> None:
    session, device = with_device(page)
    sign_in_by_password(page, admin)
    page.goto("/account/passkeys")
    page.get_by_label("Name").fill("Work laptop")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("heading", name="Recovery codes").first.wait_for()
    kept = session.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
    assert [(one["rpId"], one["isResidentCredential"]) for one in kept] == [("localhost", True)]

    # Alone, with nothing typed.
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("Where you are signed in").or_(page.get_by_role("navigation")).first.wait_for()
    page.goto("/account/passkeys")
    assert page.get_by_role("row", name=re.compile("Work laptop")).is_visible()

    # After the password, in the place of a code.
    sign_out(page)
    sign_in_by_password(page, admin)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: "/login" not in url)

    # Removed, it is on the device still, and good for nothing.
    page.goto("/account/passkeys")
    page.get_by_role("button", name="Remove").click()
    page.locator("#confirm-accept").click()
    page.get_by_text("No passkeys yet").wait_for()
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("does not sign you in").wait_for()
    page.goto("/account")
    assert "/login" in page.url


def test_whoever_cancels_is_told_so_and_stays_where_they_are(page: "Page", admin: Person) -> None:
    session, device = with_device(page)
    page.goto("/login")
    session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("That was cancelled, or took too long.").wait_for()
    sign_in_by_password(page, admin)
    page.wait_for_url(lambda url: "/login" not in url)


def test_without_scripts_a_password_does_as_before(
    browser: "Browser", portal_url: str, admin: Person
) -> None:
    page = browser.new_context(base_url=portal_url, java_script_enabled=False).new_page()
    page.goto("/login")
    assert not page.get_by_role("button", name="Sign in with a passkey").is_visible()
    sign_in_by_password(page, admin)
    page.goto("/account/passkeys")
    assert page.get_by_text("This browser has no passkeys, or runs no scripts.").is_visible()
    assert not page.get_by_role("button", name="Add a passkey").is_visible()
