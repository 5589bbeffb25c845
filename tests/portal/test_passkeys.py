"""Passkeys: added, signed in with, used after a password, removed, and everything that a forger might try."""

import json
import secrets
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select

from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.account_mail import MailKind, StaffMail, UserMail
from core.models.audit import AuditEvent, StaffEvent
from core.models.passkeys import StaffPasskey, UserPasskey
from core.models.sessions import UserSession
from core.models.tenants import Tenant, TenantStatus
from core.models.users import User
from core.tenancy import Role
from portal import passkeys
from tests.people import PASSWORD
from tests.portal.authenticator import Authenticator, to_text

OPTIONS, ADD = "/account/passkeys/options", "/account/passkeys"
REFUSED = "does not sign you in"


@pytest.fixture(autouse=True)
def portal_with_a_name(monkeypatch):
    """Passkeys are bound to a host's name."""
    monkeypatch.setenv("PORTAL_URL", "http://localhost:8000")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def device():
    return Authenticator()


def add(client, device, name="Work laptop", **changes):
    """The answer to adding a passkey that `device` makes."""
    options = client.post(OPTIONS, data={"name": name, "current": PASSWORD})
    assert options.status_code == 200, options.get_data(as_text=True)
    credential = device.create(options.get_json(), **changes)
    return client.post(ADD, data={"name": name, "credential": credential})


def sign_in(client, device, passkey=None, **form):
    """The answer to signing in with a passkey alone."""
    options = client.post("/login/passkey/options").get_json()
    return client.post("/login/passkey", data={"credential": device.get(options, passkey), **form})


def half_in(portal, person):
    """A client that has given the person's password, and not yet a second factor."""
    client = portal.test_client()
    answer = client.post("/login", data={"email": person.email, "password": PASSWORD, "next": "/models"})
    assert (answer.status_code, answer.location) == (303, "/login/code")
    return client


def rows(person, table):
    with tenant_session(person.scope) as session:
        return session.scalars(select(table)).all()


def test_a_passkey_signs_in_alone(portal, admin, device):
    assert add(admin.client, device).status_code == 200
    client = portal.test_client()
    answer = sign_in(client, device, next="/models")
    assert (answer.status_code, answer.location) == (303, "/models")
    assert client.get("/account").status_code == 200
    passkey = rows(admin, UserPasskey)[0]
    assert passkey.last_used_at is not None
    assert passkey.transports == ["internal", "hybrid"]


def test_the_sign_in_page_offers_passkeys_only_where_the_portal_has_a_name(client, admin, monkeypatch):
    assert "Sign in with a passkey" in client.get("/login").get_data(as_text=True)
    monkeypatch.setenv("PORTAL_URL", "http://127.0.0.1:8000")
    get_settings.cache_clear()
    assert "Sign in with a passkey" not in client.get("/login").get_data(as_text=True)
    assert client.post("/login/passkey/options").status_code == 404
    assert admin.client.post(OPTIONS, data={"name": "a"}).status_code == 404
    assert "Passkeys need a name" in admin.client.get(ADD).get_data(as_text=True)


def test_a_browser_is_asked_for_a_passkey_that_looks_who_is_there(admin):
    options = admin.client.post(OPTIONS, data={"name": "Laptop"}).get_json()
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert (options["rp"]["id"], options["user"]["id"]) == ("localhost", to_text(admin.user_id.bytes))


def test_what_is_asked_before_signing_in_says_nothing_about_who_exists(client, admin, device):
    before = client.post("/login/passkey/options").get_json()
    add(admin.client, device)
    after = client.post("/login/passkey/options").get_json()
    assert {**before, "challenge": ""} == {**after, "challenge": ""}
    assert before["challenge"] != after["challenge"]
    assert before["allowCredentials"] == []


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "http://evil.example"},
        {"origin": "https://localhost:8000"},
        {"host": "evil.example"},
        {"looks": False},
    ],
    ids=["another site", "another scheme", "another host", "nobody looked"],
)
def test_what_was_signed_elsewhere_or_without_looking_is_refused(portal, admin, device, lie):
    add(admin.client, device)
    client = portal.test_client()
    answer = sign_in(client, replace(device, **lie))
    assert answer.status_code == 422
    assert REFUSED in answer.get_data(as_text=True)
    assert client.get("/account").status_code == 303
    refused = add(admin.client, replace(Authenticator(), **lie), "Phone")
    assert refused.status_code == 422
    assert "could not be added" in refused.get_data(as_text=True)
    assert len(rows(admin, UserPasskey)) == 1


def test_a_challenge_is_good_once_and_in_its_own_browser_only(portal, admin, device):
    add(admin.client, device)
    client, other = portal.test_client(), portal.test_client()
    options = client.post("/login/passkey/options").get_json()
    cookie = client.get_cookie("adaptary_session")
    credential = device.get(options)
    # Another browser has another challenge, or none.
    other.post("/login/passkey/options")
    assert other.post("/login/passkey", data={"credential": credential}).status_code == 422
    assert client.post("/login/passkey", data={"credential": credential}).status_code == 303
    # The cookie of before, sent again, brings the challenge back but not that it is unused.
    thief = portal.test_client()
    thief.set_cookie("adaptary_session", cookie.value)
    replayed = thief.post("/login/passkey", data={"credential": credential})
    assert replayed.status_code == 422
    assert "sent twice" in replayed.get_data(as_text=True)


def test_a_challenge_ends(portal, admin, device, redis):
    add(admin.client, device)
    client = portal.test_client()
    options = client.post("/login/passkey/options").get_json()
    names = redis.keys("*passkey-challenge*")
    assert [0 < redis.ttl(name) <= 300 for name in names] == [True]
    redis.delete(*names)
    assert client.post("/login/passkey", data={"credential": device.get(options)}).status_code == 422


def test_a_challenge_for_one_end_serves_no_other(portal, admin, device):
    add(admin.client, device)
    client = half_in(portal, admin)
    options = client.post("/login/code/passkey/options").get_json()
    assert client.post("/login/passkey", data={"credential": device.get(options)}).status_code == 422
    options = client.post("/login/passkey/options").get_json()
    assert client.post("/login/code/passkey", data={"credential": device.get(options)}).status_code == 422


def test_a_counter_that_goes_back_is_a_copy_and_refused(portal, admin, device):
    add(admin.client, device)
    passkey = device.passkeys[0]
    passkey.count = 10
    assert sign_in(portal.test_client(), device).status_code == 303
    for count in (9, 10):  # a copy of the device signs as the tenth, and as the eleventh again
        passkey.count = count
        assert sign_in(portal.test_client(), device).status_code == 422
    assert rows(admin, UserPasskey)[0].sign_count == 11


def test_a_device_that_does_not_count_signs_in_again_and_again(portal, admin):
    device = Authenticator(counts=False)
    add(admin.client, device)
    assert [sign_in(portal.test_client(), device).status_code for _ in range(2)] == [303, 303]


def test_a_passkey_signs_nobody_else_in(portal, admin, other_admin, device):
    add(admin.client, device)
    passkey = device.passkeys[0]
    for handle in (other_admin.user_id.bytes, secrets.token_bytes(16), b"", b"short"):
        answer = sign_in(portal.test_client(), device, replace(passkey, handle=handle))
        assert answer.status_code == 422
        assert REFUSED in answer.get_data(as_text=True)


def test_another_users_passkey_is_no_second_factor(portal, admin, other_admin, device):
    add(admin.client, device)
    others = Authenticator()
    add(other_admin.client, others)
    client = half_in(portal, admin)
    options = client.post("/login/code/passkey/options").get_json()
    assert [one["id"] for one in options["allowCredentials"]] == [to_text(device.passkeys[0].id)]
    answer = client.post("/login/code/passkey", data={"credential": others.get(options)})
    assert answer.status_code == 422
    assert client.get("/account").status_code == 303


def test_a_passkey_is_one_persons_in_the_whole_installation(admin, other_admin, device):
    add(admin.client, device)
    again = add(other_admin.client, Authenticator(), credential_id=device.passkeys[0].id)
    broken = other_admin.client.post(ADD, data={"name": "a", "credential": "{}"})
    assert again.status_code == broken.status_code == 422
    # In the words of any other failure: whether somebody has it is nobody's business.
    assert "could not be added" in again.get_data(as_text=True)
    assert rows(other_admin, UserPasskey) == []


@pytest.mark.parametrize(
    "credential",
    ["", "null", "[]", "{}", "no JSON", '{"id": 1}', '{"id": "!", "rawId": "!", "response": {}}'],
)
def test_nonsense_is_refused_and_breaks_nothing(portal, admin, credential):
    client = portal.test_client()
    client.post("/login/passkey/options")
    assert client.post("/login/passkey", data={"credential": credential}).status_code == 422
    admin.client.post(OPTIONS, data={"name": "a"})
    assert admin.client.post(ADD, data={"name": "a", "credential": credential}).status_code == 422


def test_a_removed_passkey_signs_in_no_more(portal, admin, device):
    add(admin.client, device)
    add(admin.client, Authenticator(), "Phone")
    removed = next(row for row in rows(admin, UserPasskey) if row.name == "Work laptop")
    assert admin.client.post(f"{ADD}/{removed.id}/remove").status_code == 303
    assert sign_in(portal.test_client(), device).status_code == 422
    assert [row.name for row in rows(admin, UserPasskey)] == ["Phone"]


def test_somebody_elses_passkey_cannot_be_removed(admin, member, device):
    add(admin.client, device)
    passkey = rows(admin, UserPasskey)[0]
    assert member(Role.ADMIN).client.post(f"{ADD}/{passkey.id}/remove").status_code == 404


def test_the_password_is_asked_for_again_once_the_sign_in_is_old(admin, device):
    add(admin.client, device)
    passkey = rows(admin, UserPasskey)[0]
    with operator_session("test") as session:
        for row in session.scalars(select(UserSession)):
            row.started_at = now() - timedelta(minutes=11)
        session.commit()
    refused = admin.client.post(OPTIONS, data={"name": "Phone", "current": "wrong"})
    assert (refused.status_code, refused.get_json()) == (422, {"error": "This is not your password."})
    admin.client.post(f"{ADD}/{passkey.id}/remove", data={"current": "wrong"})
    admin.client.post(f"{ADD}/recovery-codes", data={"current": "wrong"})
    assert len(rows(admin, UserPasskey)) == 1
    assert admin.client.post(OPTIONS, data={"name": "Phone", "current": PASSWORD}).status_code == 200
    admin.client.post(f"{ADD}/{passkey.id}/remove", data={"current": PASSWORD})
    assert rows(admin, UserPasskey) == []


def test_without_having_confirmed_who_one_is_no_passkey_is_added(admin, device):
    options = {"user": {"id": to_text(admin.user_id.bytes)}, "challenge": to_text(secrets.token_bytes(32))}
    answer = admin.client.post(ADD, data={"name": "a", "credential": device.create(options)})
    assert answer.status_code == 422
    assert rows(admin, UserPasskey) == []


def test_the_first_passkey_brings_recovery_codes_and_ends_other_sessions(portal, admin, device, sign_in):
    elsewhere = sign_in(admin.email)
    page = add(admin.client, device).get_data(as_text=True)
    codes = page.partition('id="recovery-codes">')[2].partition("<")[0].split()
    assert len(codes) == 10
    assert elsewhere.get("/account").status_code == 303
    assert add(admin.client, Authenticator(), "Phone").status_code == 303
    client = half_in(portal, admin)
    assert client.post("/login/code", data={"code": codes[0]}).status_code == 303
    assert half_in(portal, admin).post("/login/code", data={"code": codes[0]}).status_code == 422
    renewed = admin.client.post(f"{ADD}/recovery-codes").get_data(as_text=True)
    assert codes[1] not in renewed
    assert half_in(portal, admin).post("/login/code", data={"code": codes[1]}).status_code == 422


def test_a_passkey_stands_for_a_code_after_the_password(portal, admin, device):
    device.looks = False  # a security key without a PIN will do here
    add(admin.client, Authenticator(passkeys=device.passkeys))
    client = half_in(portal, admin)
    assert "Use a passkey" in client.get("/login/code").get_data(as_text=True)
    options = client.post("/login/code/passkey/options").get_json()
    answer = client.post("/login/code/passkey", data={"credential": device.get(options)})
    assert (answer.status_code, answer.location) == (303, "/models")


def test_without_the_password_there_is_no_second_factor_to_give(client, admin, device):
    add(admin.client, device)
    assert client.post("/login/code/passkey/options").status_code == 422
    assert client.post("/login/code/passkey", data={"credential": "{}"}).location == "/login"


def test_a_passkey_meets_the_tenants_demand_for_a_second_factor(portal, admin, member, device):
    viewer = member(Role.VIEWER)
    rules = {"session_hours": "24", "requires_second_factor": "y"}
    admin.client.post("/members/sign-in", data=rules)
    assert viewer.client.get("/models").location == "/account/second-factor"
    assert viewer.client.get(ADD).status_code == 200
    add(viewer.client, device)
    assert viewer.client.get("/models").status_code == 200
    passkey = rows(admin, UserPasskey)[0]
    viewer.client.post(f"{ADD}/{passkey.id}/remove")
    assert len(rows(admin, UserPasskey)) == 1, "the last one stays while one is demanded"


def test_codes_turned_off_leave_the_recovery_codes_to_the_passkeys(portal, admin, device):
    page = admin.client.get("/account/second-factor").get_data(as_text=True)
    secret = page.partition('id="totp-secret">')[2].partition("<")[0]
    codes = admin.client.post("/account/second-factor/on", data={"code": pyotp.TOTP(secret).now()})
    recovery = codes.get_data(as_text=True).partition('id="recovery-codes">')[2].partition("<")[0].split()
    add(admin.client, device)
    later = pyotp.TOTP(secret).at(now() + timedelta(seconds=30))
    assert admin.client.post("/account/second-factor/off", data={"code": later}).status_code == 303
    client = half_in(portal, admin)
    assert "Use a passkey, or enter one of your recovery codes" in client.get("/login/code").get_data(
        as_text=True
    )
    assert client.post("/login/code", data={"code": recovery[0]}).status_code == 303
    passkey = rows(admin, UserPasskey)[0]
    admin.client.post(f"{ADD}/{passkey.id}/remove")
    assert rows(admin, User)[0].recovery_digests is None


def test_an_admin_takes_a_members_passkeys_away_too(portal, admin, member, device, sign_in):
    viewer = member(Role.VIEWER)
    add(viewer.client, device)
    assert "second factor" in admin.client.get("/members").get_data(as_text=True)
    admin.client.post(f"/members/{viewer.user_id}/second-factor/take-away")
    assert rows(admin, UserPasskey) == []
    assert sign_in(viewer.email).get("/models").status_code == 200


def test_what_is_done_with_passkeys_is_mailed_and_in_the_log(admin, device):
    add(admin.client, device)
    admin.client.post(f"{ADD}/{rows(admin, UserPasskey)[0].id}/remove")
    kinds = {mail.kind: mail.address for mail in rows(admin, UserMail)}
    assert kinds == {MailKind.PASSKEY_ADDED: admin.email, MailKind.PASSKEY_REMOVED: admin.email}
    actions = [event.action for event in rows(admin, AuditEvent)]
    assert {"member.passkey_added", "member.passkey_removed"} <= set(actions)


def test_staff_sign_in_with_passkeys_too(portal, staff, device):
    person = staff()
    assert add(person.client, device).status_code == 200
    client = portal.test_client()
    assert sign_in(client, device).location == "/operator/tenants"
    assert client.get("/operator/tenants").status_code == 200
    with operator_session("test") as session:
        passkey = session.scalars(select(StaffPasskey)).one()
        assert session.scalars(select(StaffMail.kind)).all() == [MailKind.PASSKEY_ADDED]
        assert "staff.passkey_added" in session.scalars(select(StaffEvent.action)).all()
    assert person.client.post(f"{ADD}/{passkey.id}/remove").status_code == 303
    assert sign_in(portal.test_client(), device).status_code == 422


def test_whoever_is_shut_out_is_not_let_in_by_a_passkey(portal, admin, member, device):
    viewer = member(Role.VIEWER)
    add(viewer.client, device)
    admin.client.post(f"/members/{viewer.user_id}/deactivate")
    assert sign_in(portal.test_client(), device).status_code == 422
    admin.client.post(f"/members/{viewer.user_id}/reactivate")
    assert sign_in(portal.test_client(), device).status_code == 303
    with operator_session("test") as session:
        session.get_one(Tenant, admin.scope.tenant_id).status = TenantStatus.DELETED
        session.commit()
    assert sign_in(portal.test_client(), device).status_code == 422


def test_one_person_has_so_many_passkeys_and_no_more(admin, device, monkeypatch):
    monkeypatch.setattr(passkeys, "MOST", 1)
    add(admin.client, device)
    refused = admin.client.post(OPTIONS, data={"name": "Phone"})
    assert (refused.status_code, "You have 1 passkeys" in json.loads(refused.data)["error"]) == (422, True)
