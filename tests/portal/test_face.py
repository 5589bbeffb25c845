"""The portal's frame: what it shows to whom, and that every page keeps to the content security policy."""

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from core.tenancy import Role, StaffRole
from portal.assets import ICONS, STATIC, icon_svg, initials
from tests.people import Person

ROOT = Path(__file__).parent.parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
FORBIDDEN = {
    "a style attribute": re.compile(r"\sstyle\s*="),
    "an inline style": re.compile(r"<style\b"),
    "an inline script": re.compile(r"<script(?![^>]*\ssrc=)"),
    "an event handler": re.compile(r"\son[a-z]+\s*="),
    "code in htmx": re.compile(r"\bhx-(on|vars)\b|[\"']js:|hx-trigger=\"[^\"]*\["),
    "an address elsewhere": re.compile(r"(src|href)=[\"']https?:"),
}


def navigation(person: Person, path: str = "/members") -> list[str]:
    """The labels in the sidebar."""
    page = person.client.get(path).get_data(as_text=True)
    sidebar = page.partition("<aside")[2].partition("</aside>")[0]
    return re.findall(r"<span>([^<]+)</span></a>", sidebar)


@pytest.mark.parametrize(
    "template", TEMPLATES, ids=lambda path: path.relative_to(ROOT / "templates").as_posix()
)
def test_a_template_has_nothing_that_the_policy_forbids(template):
    source = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
    found = [what for what, pattern in FORBIDDEN.items() if pattern.search(source)]
    assert found == []


def test_every_building_block_renders(admin):
    response = admin.client.get("/styleguide")
    assert response.status_code == 200
    assert "data-chart='{" in response.get_data(as_text=True)


def test_the_sidebar_has_what_the_role_may_see(admin, member):
    assert {"Members", "API keys", "Privacy", "Audit log"} <= set(navigation(admin))
    assert not {"API keys", "Audit log"} & set(navigation(member(Role.FINANCE)))
    assert "Playground" not in navigation(member(Role.VIEWER))


def test_the_operators_sidebar_has_no_tenants_pages(staff):
    assert {"Tenants", "Queue", "Pool"} <= set(navigation(staff(StaffRole.ADMIN), "/operator/tenants"))
    assert not {"Queue", "Members"} & set(navigation(staff(StaffRole.FINANCE), "/operator/tenants"))


def test_the_page_that_is_open_is_marked(admin):
    page = admin.client.get("/members").get_data(as_text=True)
    assert re.search(r'href="/members" aria-current="page"', page)


def test_what_a_tenant_calls_itself_is_text_and_no_markup(client):
    form = {"name": "Eve <b>", "email": "eve@example.com", "password": "a long password", "terms": "y"}
    client.post("/signup", data={"tenant_name": "<script>alert(1)</script>", **form})
    page = client.get("/members").get_data(as_text=True)
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_an_error_is_a_page_that_says_what_to_do(client):
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert "Not found" in response.get_data(as_text=True)


def test_without_a_database_there_is_still_a_page(admin, monkeypatch):
    nowhere = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    monkeypatch.setattr("core.db.app_engine", lambda: nowhere)
    response = admin.client.get("/members")
    assert response.status_code == 503
    assert "The database cannot be reached just now" in response.get_data(as_text=True)


def test_static_files_are_found_under_their_versioned_addresses(client):
    page = client.get("/login").get_data(as_text=True)
    addresses = re.findall(r'(?:src|href|data-library)="(/static/[^"]+)"', page)
    assert len(addresses) > 5
    for address in addresses:
        assert client.get(address).status_code == 200, address


def test_icons_are_drawn_and_a_missing_one_says_where_to_get_it():
    assert icon_svg("plus", '"><b>').startswith('<svg class="icon &#34;&gt;&lt;b&gt;"')
    with pytest.raises(LookupError, match="lucide-static"):
        icon_svg("no-such-icon")


@pytest.mark.parametrize(
    ("name", "letters"), [("Ada Lovelace", "AL"), ("grace", "G"), ("", "?"), ("A b c", "AC")]
)
def test_initials(name, letters):
    assert initials(name) == letters


def test_everything_vendored_comes_with_its_licence():
    for folder in (*(STATIC / "vendor").iterdir(), ROOT / "assets" / "vendor" / "basecoat"):
        if folder.is_dir():
            assert list(folder.glob("LICENSE*")), folder
    assert ICONS.is_dir()
