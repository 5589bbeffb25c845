"""The audit log's page: what it finds, and a page at a time."""

from datetime import timedelta

import pytest

from core.clock import now
from core.db import tenant_session
from core.models.audit import AuditEvent
from core.tenancy import ActorKind
from portal.audit_log import PAGE_SIZE, detail_text, readable


@pytest.fixture
def events(admin):
    """Put events into the log: the first is the newest."""

    def add(*rows: dict[str, object]) -> None:
        with tenant_session(admin.scope) as session:
            for age, row in enumerate(rows):
                defaults = {
                    "actor_kind": ActorKind.USER,
                    "actor_label": "grace@example.com",
                    "action": "key.created",
                }
                fixed = {"target_type": "api_keys", "target_id": "1", "detail": {}}
                at = now() - timedelta(minutes=age)
                session.add(
                    AuditEvent(**{"tenant_id": admin.scope.tenant_id, "at": at, **defaults, **fixed, **row})
                )
            session.commit()

    return add


def body(person, query: str = "") -> str:
    """The events on the page, without the filter's form."""
    page: str = person.client.get(f"/audit{query}").get_data(as_text=True)
    return page.partition("<main")[2].partition("</form>")[2]


def test_a_change_in_the_portal_is_in_the_log(admin):
    admin.client.post("/keys", data={"name": "Help desk"})
    assert "Key: created" in body(admin)
    assert "name Help desk" in body(admin)


def test_another_tenants_events_are_not(admin, other_admin):
    admin.client.post("/keys", data={"name": "Help desk"})
    assert "Help desk" not in body(other_admin)


def test_the_filter_narrows_by_person_action_and_day(admin, events):
    old = now() - timedelta(days=40)
    events(
        {"detail": {"name": "first"}},
        {"detail": {"name": "second"}, "actor_label": "100%@example.com"},
        {"detail": {"name": "third"}, "action": "key.revoked"},
        {"detail": {"name": "fourth"}, "at": old},
    )
    for query, found in (
        ("?actor=grace", {"first", "third", "fourth"}),
        ("?actor=%25", {"second"}),
        ("?action=key.revoked", {"third"}),
        (f"?until={old:%Y-%m-%d}", {"fourth"}),
        (f"?since={old:%Y-%m-%d}&until={old:%Y-%m-%d}&actor=grace", {"fourth"}),
    ):
        page = body(admin, query)
        assert {name for name in ("first", "second", "third", "fourth") if f"name {name}" in page} == found, (
            query
        )


def test_a_senseless_filter_says_so_and_nothing_breaks(admin):
    response = admin.client.get("/audit?since=yesterday&action=no.such&page=minus")
    assert response.status_code == 200
    assert "Not a valid date" in response.get_data(as_text=True)
    assert admin.client.get("/audit?page=99999999999999999999").status_code == 200


def test_nothing_but_the_filter_gets_into_the_links_of_the_pages(admin, events):
    events(*({} for _ in range(PAGE_SIZE + 1)))
    page = body(admin, "?endpoint=x&_external=1&_scheme=javascript&actor=grace")
    assert 'href="/audit?actor=grace&amp;page=2"' in page


def test_older_events_are_on_further_pages_under_the_same_filter(admin, events):
    events(*({"detail": {"name": f"number-{n:03}"}} for n in range(PAGE_SIZE + 1)))
    first = body(admin, "?actor=grace")
    assert f"number-{PAGE_SIZE - 1:03}" in first
    assert f"number-{PAGE_SIZE:03}" not in first
    assert "/audit?actor=grace&amp;page=2" in first
    second = body(admin, "?actor=grace&page=2")
    assert f"number-{PAGE_SIZE:03}" in second
    assert "number-000" not in second


def test_actions_and_details_read_as_words():
    assert readable("member.role_changed") == "Member: role changed"
    assert detail_text({"from": "viewer", "to": "admin"}) == "from viewer, to admin"
