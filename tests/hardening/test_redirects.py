"""Nobody is sent away from the portal by a link to it."""

import re
from urllib.parse import urljoin, urlsplit

import pytest

from core.config import get_settings
from core.tenancy import Role
from tests.people import PASSWORD
from tests.test_routes import calls
from tests.world import build_world

PORTAL = "http://portal.example"
ELSEWHERE = [
    "//attacker.example",
    "///attacker.example",
    "////attacker.example",
    "/\\attacker.example",
    "\\\\attacker.example",
    "/\t/attacker.example",
    "/\n/attacker.example",
    "\t//attacker.example",
    " //attacker.example",
    "https://attacker.example",
    "https:attacker.example",
    "http:/attacker.example",
    "javascript:alert(1)",
    "data:text/html,hello",
    "//portal.example@attacker.example",
    "/%5cattacker.example/../..//attacker.example",
]


def host_of(location: str) -> str:
    """Whom a browser asks next: it takes \\ for /, and leaves out tabs and line breaks (WHATWG URL)."""
    return urlsplit(urljoin(PORTAL, re.sub(r"[\t\r\n]", "", location).strip().replace("\\", "/"))).netloc


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_leads_to_the_portal_whatever_the_link_says(portal, admin, target):
    answer = portal.test_client().post(
        "/login", data={"email": admin.email, "password": PASSWORD, "next": target}
    )
    assert answer.status_code == 303
    assert host_of(answer.location) == "portal.example"
    assert not answer.location.startswith(("javascript:", "data:"))


def test_a_page_of_the_portal_is_where_somebody_comes_back_to(portal, admin):
    response = portal.test_client().post(
        "/login", data={"email": admin.email, "password": PASSWORD, "next": "/models?sort=name#top"}
    )
    assert response.location == "/models?sort=name#top"


def test_every_redirect_of_every_route_stays_on_the_portal(portal, admin, staff):
    arguments = build_world(admin.scope).arguments
    evil = {"next": "//attacker.example", "url": "//attacker.example", "return_to": "//attacker.example"}
    redirects = 0
    for client in (admin.client, staff().client, portal.test_client()):
        for method, path, rule in calls(portal, arguments):
            if method in ("GET", "POST") and rule.endpoint != "auth.logout":
                answer = client.open(
                    path, method=method, query_string=evil, data=evil if method == "POST" else None
                )
                if answer.location:
                    redirects += 1
                    assert host_of(answer.location) == "portal.example", path
    assert redirects > 20


def test_a_link_for_somebody_else_is_to_the_portals_own_address_whatever_host_was_asked_for(portal, admin):
    cookie = admin.client.get_cookie("adaptary_session")
    headers = {
        "Host": "attacker.example",
        "X-Forwarded-Host": "attacker.example",
        "Cookie": f"adaptary_session={cookie.value}",
    }
    invited = {"email": "new@example.com", "role": Role.VIEWER.value}
    answer = portal.test_client(use_cookies=False).post("/members/invites", data=invited, headers=headers)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 201
    assert f"{get_settings().portal_url}/invites/" in page
    assert "attacker.example" not in page
