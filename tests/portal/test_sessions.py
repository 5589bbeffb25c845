"""Sessions: where somebody is signed in, and how that ends."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from core.clock import now
from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent
from core.models.sessions import StaffSession, UserSession
from core.tenancy import Role
from portal.devices import device_name, network_of
from tests.people import PASSWORD

COOKIE = "adaptary_session"
NEW_PASSWORD = "a stapler on the roof"


def is_in(client) -> bool:
    return bool(client.get("/account").status_code == 200)


def ids(person) -> list[UUID]:
    with operator_session("test") as session:
        query = select(UserSession.id).where(UserSession.user_id == person.user_id)
        return list(session.scalars(query.order_by(UserSession.started_at)))


def test_a_copied_cookie_is_dead_after_signing_out(admin, portal):
    thief = portal.test_client()
    thief.set_cookie(COOKIE, admin.client.get_cookie(COOKIE).value)
    assert is_in(thief)
    admin.client.post("/logout")
    assert not is_in(thief)


def test_the_account_page_lists_where_somebody_is_signed_in(admin, portal):
    portal.test_client().post(
        "/login",
        data={"email": admin.email, "password": PASSWORD},
        headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
        environ_base={"REMOTE_ADDR": "203.0.113.77"},
    )
    page = admin.client.get("/account").get_data(as_text=True)
    assert "Firefox on Linux" in page
    assert "203.0.113.0/24" in page
    assert "203.0.113.77" not in page
    assert page.count("this one") == 1


def test_a_session_can_be_ended_from_another(admin, sign_in):
    elsewhere = sign_in(admin.email)
    first, second = ids(admin)
    assert admin.client.post(f"/account/sessions/{second}/end").status_code == 303
    assert not is_in(elsewhere)
    assert is_in(admin.client)
    assert ids(admin) == [first]
    assert admin.client.post(f"/account/sessions/{second}/end").status_code == 404


def test_nobody_ends_a_colleagues_session(admin, member):
    viewer = member(Role.VIEWER)
    (session_id,) = ids(admin)
    assert viewer.client.post(f"/account/sessions/{session_id}/end").status_code == 404
    viewer.client.post("/account/sessions/end-others")
    assert is_in(admin.client)


def test_signing_out_everywhere_else_leaves_this_session(admin, sign_in):
    elsewhere = sign_in(admin.email), sign_in(admin.email)
    assert admin.client.post("/account/sessions/end-others").status_code == 303
    assert [is_in(client) for client in elsewhere] == [False, False]
    assert is_in(admin.client)


def test_changing_the_password_ends_the_other_sessions(admin, sign_in, portal):
    elsewhere = sign_in(admin.email)
    change = {"current": PASSWORD, "password": NEW_PASSWORD}
    assert admin.client.post("/account/password", data=change).status_code == 303
    assert not is_in(elsewhere)
    assert is_in(admin.client)
    guest = portal.test_client()
    assert guest.post("/login", data={"email": admin.email, "password": PASSWORD}).status_code == 422
    assert guest.post("/login", data={"email": admin.email, "password": NEW_PASSWORD}).status_code == 303
    with tenant_session(admin.scope) as session:
        actions = session.scalars(select(AuditEvent.action)).all()
    assert "member.password_changed" in actions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"current": "not my password", "password": NEW_PASSWORD}, "This is not your password"),
        ({"current": PASSWORD, "password": PASSWORD}, "Choose another"),
        ({"current": PASSWORD, "password": "short"}, "Use 10 to 200 characters"),
        ({"current": PASSWORD, "password": "Password123"}, "easily guessed"),
    ],
)
def test_a_password_is_not_changed_without_the_old_one_or_to_a_bad_one(admin, portal, change, message):
    response = admin.client.post("/account/password", data=change)
    assert response.status_code == 422
    assert message in response.get_data(as_text=True)
    sign_in = portal.test_client().post("/login", data={"email": admin.email, "password": PASSWORD})
    assert sign_in.status_code == 303


def test_staff_see_and_end_their_own_sessions(staff, sign_in):
    person = staff()
    elsewhere = sign_in(person.email)
    with operator_session("test") as session:
        _, second = session.scalars(select(StaffSession.id).order_by(StaffSession.started_at))
    assert person.client.post(f"/account/sessions/{second}/end").status_code == 303
    assert not is_in(elsewhere)
    change = {"current": PASSWORD, "password": NEW_PASSWORD}
    assert person.client.post("/account/password", data=change).status_code == 303
    assert is_in(person.client)


def test_an_admin_sets_how_long_sessions_last(admin, other_admin):
    def let_hours_pass(hours: int) -> None:
        with operator_session("test") as session:
            session.execute(update(UserSession).values(started_at=now() - timedelta(hours=hours)))
            session.commit()

    let_hours_pass(2)
    assert admin.client.post("/members/sign-in", data={"session_hours": "1"}).status_code == 303
    assert not is_in(admin.client)
    assert is_in(other_admin.client)
    let_hours_pass(24 * 7)
    assert not is_in(other_admin.client)


@pytest.mark.parametrize("hours", ["0", "169", "-1", "x", ""])
def test_a_session_lasts_as_long_as_the_page_offers_and_no_longer(admin, hours):
    assert admin.client.post("/members/sign-in", data={"session_hours": hours}).status_code == 422


def test_sessions_that_are_over_are_forgotten_at_the_next_sign_in(admin, sign_in):
    with operator_session("test") as session:
        session.execute(update(UserSession).values(started_at=now() - timedelta(days=8)))
        session.commit()
    sign_in(admin.email)
    assert len(ids(admin)) == 1


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.9", "Another browser"),
        ("", "Another browser"),
    ],
)  # fmt: skip
def test_a_browser_is_named_so_that_its_owner_knows_it(user_agent, name):
    assert device_name(user_agent) == name


@pytest.mark.parametrize(
    ("address", "network"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), (None, "unknown")],
)
def test_of_an_address_the_network_is_kept(address, network):
    assert network_of(address) == network


def test_the_portal_opens_from_the_tenants_networks(admin):
    rules = {"session_hours": "24", "networks": "127.0.0.1\n203.0.113.0/24"}
    assert admin.client.post("/members/sign-in", data=rules).status_code == 303
    page = admin.client.get("/members/sign-in")
    assert page.status_code == 200
    assert "127.0.0.1/32\n203.0.113.0/24" in page.get_data(as_text=True)


def test_whoever_signs_in_from_outside_is_told_so(admin, portal):
    rules = {"session_hours": "24", "networks": "127.0.0.0/8"}
    assert admin.client.post("/members/sign-in", data=rules).status_code == 303
    outside = portal.test_client()
    elsewhere = {"REMOTE_ADDR": "198.51.100.1"}
    outside.post("/login", data={"email": admin.email, "password": PASSWORD}, environ_base=elsewhere)
    answer = outside.get("/members", environ_base=elsewhere)
    assert answer.status_code == 403
    assert "certain networks only" in answer.get_data(as_text=True)
    assert outside.post("/logout", environ_base=elsewhere).status_code == 303


def test_an_admin_cannot_shut_themself_out(admin):
    rules = {"session_hours": "24", "networks": "198.51.100.0/24"}
    answer = admin.client.post("/members/sign-in", data=rules)
    assert answer.status_code == 422
    assert "you would shut yourself out" in answer.get_data(as_text=True)
    assert admin.client.get("/members").status_code == 200
