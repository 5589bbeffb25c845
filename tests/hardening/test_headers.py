"""What every answer of portal and API says to the browser that gets it, errors among them."""

import re
from html.parser import HTMLParser

from core.config import get_settings
from portal.api.app import create_api
from tests.test_routes import calls

EVENT = re.compile(r"on[a-z]+\Z")


class Inline(HTMLParser):
    """What of a page a policy without 'unsafe-inline' would not let run: scripts, styles and handlers in the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        is_data = values.get("type") == "application/json"
        if tag == "style" or (tag == "script" and "src" not in values and not is_data):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in values if name == "style" or EVENT.match(name)]
        addresses = [values.get(name) or "" for name in ("href", "src", "action", "formaction")]
        self.found += [one for one in addresses if one.strip().lower().startswith("javascript:")]


def answers(app, client, world, **options):
    """(path, answer) of everything that can be read, and of what cannot."""
    for method, path, _ in calls(app, world.arguments):
        if method == "GET":
            yield path, client.get(path, **options)
    yield "no page", client.get("/no-such-page", **options)
    yield "wrong method", client.delete("/login" if app.name == "portal" else "/v1/models", **options)


def check(path, answer) -> None:
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff", path
    assert headers["X-Frame-Options"] == "DENY", path
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin", path
    assert "camera=()" in headers["Permissions-Policy"], path
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), path
    policy = headers["Content-Security-Policy"]
    assert "unsafe" not in policy, path
    assert "*" not in policy, path
    assert "frame-ancestors 'none'" in policy, path
    assert policy.startswith(("default-src 'self'", "default-src 'none'")), path
    assert not re.search(r"Werkzeug|Python", headers.get("Server", "")), path


def test_every_page_of_a_tenant_and_of_the_operator_is_protected(portal, admin, staff, world):
    for client in (admin.client, staff().client, portal.test_client()):
        for path, answer in answers(portal, client, world):
            check(path, answer)
            is_file = path.startswith("/static/") and answer.status_code == 200
            assert is_file or answer.headers["Cache-Control"] == "no-store", path


def test_no_page_has_script_or_style_in_it(portal, admin, staff, world):
    pages = 0
    for client in (admin.client, staff().client, portal.test_client()):
        for path, answer in answers(portal, client, world):
            if answer.mimetype == "text/html":
                pages += 1
                assert Inline(answer.get_data(as_text=True)).found == [], path
    assert pages > 50


def test_every_answer_of_the_api_is_protected(api, world):
    headers = {"Authorization": f"Bearer {world.key}"}
    for client_headers in (headers, {}):
        for path, answer in answers(api, api.test_client(), world, headers=client_headers):
            check(path, answer)
            assert answer.headers["Cache-Control"] == "no-store", path


def test_served_by_https_browsers_are_told_to_come_back_by_https_only(services, monkeypatch):
    from portal.app import create_portal

    monkeypatch.setenv("PORTAL_URL", "https://portal.example")
    monkeypatch.setenv("API_URL", "https://api.example")
    get_settings.cache_clear()
    try:
        for app in (create_portal(), create_api()):
            path = "/login" if app.name == "portal" else "/healthz"
            answer = app.test_client().get(path)
            assert "includeSubDomains" in answer.headers["Strict-Transport-Security"]
            cookies = answer.headers.getlist("Set-Cookie")
            assert all("Secure" in cookie and "HttpOnly" in cookie for cookie in cookies)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
