"""The second factor: set up, asked for, used up, lost, and demanded by admins."""

import dataclasses
import json
import os
import re
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select, update

from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.account_mail import MailKind, StaffMail, UserMail
from core.models.audit import AuditEvent, StaffEvent
from core.models.sessions import UserSession
from core.models.staff import StaffMember
from core.models.users import User
from core.tenancy import Role
from portal import second_factor
from tests.people import PASSWORD


def code_of(secret: str, steps: int = 0) -> str:
    """The code that an app shows `steps` steps from now."""
    return pyotp.TOTP(secret).at(now() + timedelta(seconds=30 * steps))


def shown(page: str, element: str) -> str:
    """What the page's element of that id holds."""
    found = re.search(rf'id="{element}">([^<]+)<', page)
    assert found is not None
    return found[1]


def set_up(client) -> tuple[str, list[str]]:
    """The secret and the recovery codes of whoever `client` is signed in as."""
    page = client.get("/account/second-factor").get_data(as_text=True)
    secret = shown(page, "totp-secret")
    answer = client.post("/account/second-factor/on", data={"code": code_of(secret, -1)})
    assert answer.status_code == 200
    codes = shown(answer.get_data(as_text=True), "recovery-codes").split()
    assert len(codes) == 10
    return secret, codes


def test_a_browser_that_was_left_open_does_not_set_it_up_without_the_password(admin):
    with tenant_session(admin.scope) as session:
        session.execute(update(UserSession).values(started_at=now() - timedelta(minutes=11)))
        session.commit()
    secret = shown(admin.client.get("/account/second-factor").get_data(as_text=True), "totp-secret")
    given = {"code": code_of(secret, -1)}
    for wrong in ({}, {"current": "not the password"}):
        answer = admin.client.post("/account/second-factor/on", data={**given, **wrong})
        assert "This is not your password." in answer.get_data(as_text=True)
    answer = admin.client.post("/account/second-factor/on", data={**given, "current": PASSWORD})
    assert answer.status_code == 200


def test_the_person_is_told_when_it_is_set_up_and_when_it_is_turned_off(admin):
    secret, _ = set_up(admin.client)
    admin.client.post("/account/second-factor/off", data={"code": code_of(secret)})
    with tenant_session(admin.scope) as session:
        told = session.execute(select(UserMail.kind, UserMail.address).order_by(UserMail.created_at)).all()
    assert told == [(MailKind.CODES_TURNED_ON, admin.email), (MailKind.CODES_TURNED_OFF, admin.email)]


@pytest.fixture
def half_in(portal):
    """`half_in(person)`: a client that has given the person's password, and not yet a code."""

    def half_in(person):
        client = portal.test_client()
        answer = client.post("/login", data={"email": person.email, "password": PASSWORD, "next": "/models"})
        assert (answer.status_code, answer.location) == (303, "/login/code")
        return client

    return half_in


def give(client, code: str) -> int:
    return int(client.post("/login/code", data={"code": code}).status_code)


def test_the_code_is_asked_for_after_the_password(admin, half_in):
    secret, _ = set_up(admin.client)
    client = half_in(admin)
    assert client.get("/").location.startswith("/login")
    answer = client.post("/login/code", data={"code": code_of(secret)})
    assert (answer.status_code, answer.location) == (303, "/models")
    assert client.get("/").status_code == 200


def test_a_wrong_code_signs_nobody_in(admin, half_in):
    secret, _ = set_up(admin.client)
    client = half_in(admin)
    for code in ("000000" if code_of(secret) != "000000" else "111111", "", "x" * 21, code_of(secret, 20)):
        assert give(client, code) == 422
    assert client.get("/").status_code == 303


def test_a_code_is_good_once(admin, half_in):
    secret, _ = set_up(admin.client)
    code = code_of(secret, 1)
    assert give(half_in(admin), code) == 303
    assert give(half_in(admin), code) == 422
    assert give(half_in(admin), code_of(secret, -1)) == 422


def test_a_recovery_code_is_good_once_however_it_is_typed(admin, half_in):
    _, codes = set_up(admin.client)
    assert give(half_in(admin), codes[0].upper().replace("-", " ")) == 303
    assert give(half_in(admin), codes[0]) == 422
    assert give(half_in(admin), codes[1]) == 303
    with tenant_session(admin.scope) as session:
        digests = session.get_one(User, admin.user_id).recovery_digests
    assert len(digests or ()) == 8


def test_neither_the_secret_nor_a_recovery_code_is_in_the_database_in_the_clear(admin):
    secret, codes = set_up(admin.client)
    with tenant_session(admin.scope) as session:
        user = session.get_one(User, admin.user_id)
        events = str([event.detail for event in session.scalars(select(AuditEvent))])
    assert secret.encode() not in (user.totp_secret or secret.encode())
    for code in codes:
        assert code not in str(user.recovery_digests) + events


def test_guessing_codes_is_stopped(admin, half_in):
    set_up(admin.client)
    answers = [give(half_in(admin), "123123") for _ in range(8)]
    assert answers == [422] * 8
    client = half_in(admin)
    assert [give(client, "123123") for _ in range(3)] == [422, 422, 429]


def test_without_the_password_no_code_is_asked_for(client):
    assert client.get("/login/code").location == "/login"
    assert client.post("/login/code", data={"code": "123456"}).location == "/login"


def test_the_code_is_to_come_within_ten_minutes(admin, half_in, monkeypatch):
    secret, _ = set_up(admin.client)
    client = half_in(admin)
    later = now() + timedelta(minutes=11)
    monkeypatch.setattr("portal.entrance.now", lambda: later)
    answer = client.post("/login/code", data={"code": code_of(secret)})
    assert (answer.status_code, answer.location) == (303, "/login")
    assert client.get("/").status_code == 303


def test_setting_it_up_needs_a_right_code_and_ends_the_other_sessions(admin, sign_in):
    elsewhere = sign_in(admin.email)
    # Without having seen a secret, there is none that a code could be of.
    assert admin.client.post("/account/second-factor/on", data={"code": "123456"}).status_code == 422
    page = admin.client.get("/account/second-factor").get_data(as_text=True)
    assert 'src="data:image/svg+xml' in page
    assert admin.client.post("/account/second-factor/on", data={"code": "123"}).status_code == 422
    assert elsewhere.get("/account").status_code == 200
    set_up(admin.client)
    assert elsewhere.get("/account").status_code == 303
    assert admin.client.get("/account").status_code == 200


def test_new_recovery_codes_replace_the_old_ones(admin, half_in):
    _, codes = set_up(admin.client)
    answer = admin.client.post("/account/second-factor/recovery-codes", data={"code": codes[0]})
    assert answer.status_code == 200
    assert give(half_in(admin), codes[1]) == 422


def test_it_is_turned_off_with_a_code_only(admin, sign_in):
    secret, _ = set_up(admin.client)
    assert admin.client.post("/account/second-factor/off", data={"code": "123"}).status_code == 422
    assert admin.client.post("/account/second-factor/off", data={"code": code_of(secret)}).status_code == 303
    assert sign_in(admin.email).get("/").status_code == 200


def test_an_admin_may_ask_everybody_for_one(admin, member, other_admin):
    viewer = member(Role.VIEWER)
    rules = {"session_hours": "24", "requires_second_factor": "y"}
    assert admin.client.post("/members/sign-in", data=rules).status_code == 303
    for path in ("/", "/models", "/members"):
        assert viewer.client.get(path).location == "/account/second-factor"
    secret, _ = set_up(viewer.client)
    assert viewer.client.get("/models").status_code == 200
    assert viewer.client.post("/account/second-factor/off", data={"code": code_of(secret)}).status_code == 422
    assert other_admin.client.get("/models").status_code == 200


def test_an_admin_takes_a_lost_one_away_but_not_their_own(admin, member, sign_in):
    viewer = member(Role.VIEWER)
    set_up(viewer.client)
    set_up(admin.client)
    for person in (viewer, admin):
        admin.client.post(f"/members/{person.user_id}/second-factor/take-away")
    assert sign_in(viewer.email).get("/").status_code == 200
    with tenant_session(admin.scope) as session:
        assert session.get_one(User, admin.user_id).totp_secret is not None
        actions = session.scalars(select(AuditEvent.action)).all()
    assert "member.second_factor_taken_away" in actions


def test_staff_have_a_second_factor_too(staff, half_in):
    person = staff()
    secret, _ = set_up(person.client)
    client = half_in(person)
    assert give(client, code_of(secret)) == 303
    assert client.get("/operator/tenants").status_code == 200
    with operator_session("test") as session:
        sealed = session.get_one(StaffMember, person.user_id).totp_secret
    assert secret.encode() not in (sealed or secret.encode())


def test_somebody_deactivated_meanwhile_is_not_let_in_by_a_code(admin, member, half_in):
    viewer = member(Role.VIEWER)
    secret, _ = set_up(viewer.client)
    client = half_in(viewer)
    admin.client.post(f"/members/{viewer.user_id}/deactivate")
    answer = client.post("/login/code", data={"code": code_of(secret)})
    assert answer.location == "/login"
    assert client.get("/").status_code == 303


def test_staff_keep_their_second_factor_when_the_master_key_is_replaced(staff, half_in, monkeypatch):
    person = staff()
    secret, codes = set_up(person.client)
    old, new = get_settings(), os.urandom(32)
    settings = dataclasses.replace(old, master_key=new, master_key_old=old.master_key)
    monkeypatch.setattr(second_factor, "get_settings", lambda: settings)
    assert give(half_in(person), codes[0]) == 303
    settings = dataclasses.replace(old, master_key=new)
    assert give(half_in(person), codes[1]) == 303
    assert give(half_in(person), code_of(secret)) == 303


def test_the_operator_may_ask_all_staff_for_one(staff, monkeypatch):
    person = staff()
    assert person.client.get("/operator/tenants").status_code == 200
    monkeypatch.setenv("STAFF_SECOND_FACTOR", "true")
    get_settings.cache_clear()
    try:
        for path in ("/operator/tenants", "/operator/audit"):
            assert person.client.get(path).location == "/account/second-factor"
        secret, _ = set_up(person.client)
        assert person.client.get("/operator/tenants").status_code == 200
        refused = person.client.post("/account/second-factor/off", data={"code": code_of(secret)})
        assert refused.status_code == 422
    finally:
        get_settings.cache_clear()


@pytest.mark.parametrize("group", ["staff", "tenant"])
def test_the_operator_takes_a_lost_one_away_on_the_command_line(portal, staff, admin, sign_in, group):
    person, other = (staff(), admin) if group == "staff" else (admin, staff())
    set_up(person.client)
    run = portal.test_cli_runner().invoke
    for wrong in (other.email, "nobody@example.com"):
        assert run(args=[group, "reset-second-factor", wrong]).exit_code == 1
    result = run(args=[group, "reset-second-factor", person.email])
    assert json.loads(result.output) == {"email": person.email, "had_second_factor": True}
    assert sign_in(person.email).get("/account").status_code == 200
    with operator_session("test") as session:
        assert "second_factor.taken_away" in session.scalars(select(StaffEvent.action)).all()
        mails = [*session.scalars(select(UserMail)), *session.scalars(select(StaffMail))]
        told = session.scalars(select(AuditEvent.action)).all()
    assert {(mail.kind, mail.address) for mail in mails} == {
        (MailKind.CODES_TURNED_ON, person.email),
        (MailKind.SECOND_FACTOR_TAKEN_AWAY, person.email),
    }
    assert ("member.second_factor_taken_away" in told) is (group == "tenant")
    again = run(args=[group, "reset-second-factor", person.email])
    assert json.loads(again.output)["had_second_factor"] is False
