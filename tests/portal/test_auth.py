"""Signing up, in and out, invites, and what protects them."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.clock import now
from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent
from core.models.tenants import Tenant, TenantStatus
from core.models.users import Invite, User
from core.tenancy import Role
from portal import accounts
from tests.people import PASSWORD

SIGN_UP = {
    "tenant_name": "Acme",
    "name": "Ada Lovelace",
    "email": "Ada@Example.com",
    "password": PASSWORD,
    "terms": "y",
}


def test_sign_up_makes_a_tenant_with_its_admin_signed_in(client):
    response = client.post("/signup", data=SIGN_UP)
    assert (response.status_code, response.location) == (303, "/")
    assert client.get("/").status_code == 200
    with operator_session("test") as session:
        user = session.scalars(select(User)).one()
        assert (user.email, user.role) == ("ada@example.com", Role.ADMIN)
        assert PASSWORD not in user.password_hash
        assert session.scalars(select(Tenant)).one().terms_version == accounts.TERMS_VERSION
        assert session.scalars(select(AuditEvent.action)).all() == ["tenant.signed_up"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("password", "short", "Use 10 to 200 characters"),
        ("password", "Password123", "easily guessed"),
        ("password", "aaaaaaaaaaaaa", "easily guessed"),
        ("password", "ADA@example.com", "easily guessed"),
        ("password", "P@ssw0rd123!", "easily guessed"),
        ("password", "Lovelace1815", "easily guessed"),
        ("email", "nobody", "Enter an e-mail address"),
        ("tenant_name", " ", "Enter your company"),
        ("terms", "", "Accept the terms"),
    ],
)
def test_sign_up_says_beside_the_field_what_is_wrong(client, field, value, message):
    data = {**SIGN_UP, field: value}
    if field == "terms":
        del data["terms"]
    response = client.post("/signup", data=data)
    assert response.status_code == 422
    assert message in response.get_data(as_text=True)


def test_an_address_cannot_sign_up_twice(client, portal):
    client.post("/signup", data=SIGN_UP)
    response = portal.test_client().post("/signup", data={**SIGN_UP, "email": "ADA@example.com"})
    assert response.status_code == 422
    assert "has an account already" in response.get_data(as_text=True)


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(admin, portal):
    answers = [
        portal.test_client().post("/login", data={"email": email, "password": "wrong password"})
        for email in (admin.email, "nobody@example.com")
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    pages = [re.sub(r'value="[^"]*"', "", answer.get_data(as_text=True)) for answer in answers]
    assert pages[0] == pages[1]


def test_guessing_at_an_address_is_stopped_however_it_is_spelt(admin, other_admin, client):
    def sign_in(email: str, password: str) -> int:
        return int(client.post("/login", data={"email": email, "password": password}).status_code)

    for number in range(9):  # the sign-in of the fixture was the first
        spelling = admin.email.upper() if number % 2 else f" {admin.email} "
        assert sign_in(spelling, f"guess {number}") == 422
    assert sign_in(admin.email, PASSWORD) == 429
    assert sign_in(other_admin.email, PASSWORD) == 303


def test_log_out_ends_the_session(admin):
    assert admin.client.post("/logout").status_code == 303
    assert admin.client.get("/").status_code == 303


def test_a_session_ends_by_itself_after_a_week(admin, monkeypatch):
    assert admin.client.get("/members").status_code == 200
    later = now() + timedelta(days=7, minutes=1)
    monkeypatch.setattr("itsdangerous.TimestampSigner.get_timestamp", lambda _signer: int(later.timestamp()))
    assert admin.client.get("/members").status_code == 303


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/datasets", "/datasets"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_sign_in_goes_on_to_our_own_pages_only(admin, portal, target, location):
    response = portal.test_client().post(
        "/login", data={"email": admin.email, "password": PASSWORD, "next": target}
    )
    assert response.location == location


def test_a_deactivated_user_is_out_at_once(member):
    person = member(Role.VIEWER)
    assert person.client.get("/").status_code == 200
    with tenant_session(person.scope) as session:
        session.get_one(User, person.user_id).deactivated_at = now()
        session.commit()
    assert person.client.get("/").status_code == 303


def test_a_suspended_tenants_users_are_out_at_once(admin, client):
    with operator_session("test") as session:
        session.get_one(Tenant, admin.scope.tenant_id).status = TenantStatus.SUSPENDED
        session.commit()
    assert admin.client.get("/").status_code == 303
    assert client.post("/login", data={"email": admin.email, "password": PASSWORD}).status_code == 422


def test_an_invite_makes_a_user_of_the_inviting_tenant_once(admin, portal):
    with tenant_session(admin.scope) as session:
        _, token = accounts.invite(session, admin.scope, "grace@example.com", Role.FINANCE)
        session.commit()
    guest = portal.test_client()
    assert "grace@example.com" in guest.get(f"/invites/{token}").get_data(as_text=True)
    answer = {"name": "Grace", "password": PASSWORD, "terms": "y"}
    assert guest.post(f"/invites/{token}", data=answer).status_code == 303
    with tenant_session(admin.scope) as session:
        assert (
            session.scalars(select(User.role).where(User.email == "grace@example.com")).one() is Role.FINANCE
        )
    assert portal.test_client().get(f"/invites/{token}").status_code == 404


def test_a_revoked_or_replaced_or_expired_invite_is_not_found(admin, client):
    with tenant_session(admin.scope) as session:
        _, replaced = accounts.invite(session, admin.scope, "grace@example.com", Role.VIEWER)
        row, revoked = accounts.invite(session, admin.scope, "grace@example.com", Role.VIEWER)
        accounts.revoke_invite(session, admin.scope, row)
        late, expired = accounts.invite(session, admin.scope, "late@example.com", Role.VIEWER)
        late.expires_at = now()
        session.commit()
    for token in (replaced, revoked, expired, "made-up"):
        assert client.get(f"/invites/{token}").status_code == 404


def test_a_token_of_an_invite_is_not_in_the_database(admin):
    with tenant_session(admin.scope) as session:
        row, token = accounts.invite(session, admin.scope, "grace@example.com", Role.VIEWER)
        session.commit()
        assert token.encode() not in session.get_one(Invite, row.id).token_digest


def test_the_last_admin_can_neither_step_down_nor_leave(admin):
    with tenant_session(admin.scope) as session:
        user = session.get_one(User, admin.user_id)
        with pytest.raises(accounts.AccountError, match="needs an admin"):
            accounts.change_role(session, admin.scope, user, Role.VIEWER)
        with pytest.raises(accounts.AccountError, match="needs an admin"):
            accounts.deactivate(session, admin.scope, user)


@pytest.fixture
def strict_client(portal):
    """A client of the portal with CSRF checks and limits on, as in production."""
    portal.config.update(WTF_CSRF_ENABLED=True)
    yield portal.test_client()
    portal.config.update(WTF_CSRF_ENABLED=False)


def test_every_post_needs_the_csrf_token(strict_client, portal):
    for rule in portal.url_map.iter_rules():
        # What Stripe sends comes from no page of ours: it is signed instead.
        if "POST" in rule.methods and rule.endpoint.partition(".")[0] != "stripe_webhook":
            values = dict.fromkeys(rule.arguments, "00000000-0000-0000-0000-000000000000")
            path = rule.build(values, append_unknown=False)[1]
            response = strict_client.post(path, data={})
            assert response.status_code == 400, path
            assert "form had expired" in response.get_data(as_text=True)


def test_pages_are_sent_with_headers_that_protect_them(client):
    headers = client.get("/login").headers
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_the_session_cookie_is_out_of_reach_of_scripts(admin, portal):
    response = portal.test_client().post("/login", data={"email": admin.email, "password": PASSWORD})
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
