"""E-mail addresses: verified, changed and taken back; passwords reset by mail; and what the links in mails are worth."""

import email
import email.policy
import re
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select, update

from core import mail
from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.account_mail import MailKind, StaffMail, UserMail
from core.models.audit import AuditEvent
from core.models.sessions import UserSession
from core.models.users import User
from core.queues import Queue, rq_queue
from core.tenancy import Role
from portal import periodic
from tests.api.workers import work_off
from tests.people import PASSWORD

NEW_PASSWORD = "purple otter tram ledger"
SENT = "is on its way"


class Mailbox:
    """What the mail server took, and the links in it."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []
        self.is_away = False

    def take(self, _server, message) -> None:
        if self.is_away:
            raise mail.Undelivered("ConnectionRefusedError")
        self.messages.append(message)

    def link(self, to: str) -> str:
        """The path of the last link that was sent to an address."""
        work_off(Queue.BATCHES)
        texts = [message.get_content() for message in self.messages if message["To"] == to]
        found = re.search(r"http://127\.0\.0\.1:8000(/links/\S+)", texts[-1])
        assert found is not None, texts
        return found[1]

    def subjects(self, to: str) -> list[str]:
        work_off(Queue.BATCHES)
        return [message["Subject"] for message in self.messages if message["To"] == to]


@pytest.fixture
def mailbox(monkeypatch):
    """A mail server is set, and what it is given lands here."""
    box = Mailbox()
    monkeypatch.setenv("SMTP_URL", "smtp://mail.example")
    monkeypatch.setattr(mail, "_send_by_smtp", box.take)
    get_settings.cache_clear()
    yield box
    get_settings.cache_clear()


@pytest.fixture
def newcomer(portal, mailbox):
    """Somebody who has just signed up: their client and their address."""
    client = portal.test_client()
    form = {"tenant_name": "Acme", "name": "Ada", "email": "ada@acme.example", "password": PASSWORD}
    assert client.post("/signup", data={**form, "terms": "y"}).status_code == 303
    return client, form["email"]


@pytest.fixture
def verified(admin, mailbox):
    """`admin`, whose address is verified, where there is a mail server."""
    with operator_session("test") as session:
        session.get_one(User, admin.user_id).email_verified_at = now()
        session.commit()
    return admin


def user_of(person) -> User:
    with tenant_session(person.scope) as session:
        return session.get_one(User, person.user_id)


def follow(client, link: str, **form):
    """Open the link, as whoever has it, and press its button."""
    assert client.get(link).status_code == 200
    return client.post(link, data=form)


def change(person, mailbox: Mailbox, to: str) -> str:
    """Change the person's address, by the link that goes to the new one; the link that went to the old one."""
    before = user_of(person).email
    assert person.client.post("/account/address", data={"email": to}).status_code == 303
    assert follow(person.client, mailbox.link(to)).status_code == 303
    return mailbox.link(before)


def test_until_their_address_is_verified_somebody_only_looks_around(newcomer, mailbox):
    client, address = newcomer
    assert client.get("/").status_code == 200
    assert "Verify your e-mail address" in client.get("/models").get_data(as_text=True)
    for path in ("/datasets/new", "/keys", "/members/invites", "/playground", "/exports"):
        method = client.post if path == "/members/invites" else client.get
        answer = method(path)
        expected = 200 if path == "/keys" else 303
        assert answer.status_code == expected, path
    assert client.post("/keys", data={"name": "a"}).location == "/account/address"
    assert follow(client, mailbox.link(address)).status_code == 303
    assert client.post("/keys", data={"name": "a"}).status_code == 201


def test_without_a_mail_server_nobody_is_asked_to_verify(admin, portal):
    assert user_of(admin).email_verified_at is None
    assert admin.client.post("/keys", data={"name": "a"}).status_code == 201
    assert rq_queue(Queue.BATCHES).is_empty()


def test_an_invited_person_verifies_their_address_as_well(verified, mailbox, portal):
    page = verified.client.post("/members/invites", data={"email": "grace@acme.example", "role": "developer"})
    link = re.search(r"(/invites/[\w-]+)", page.get_data(as_text=True))
    assert link is not None
    client = portal.test_client()
    client.post(link[1], data={"name": "Grace", "password": PASSWORD, "terms": "y"})
    assert client.get("/datasets/new").location == "/account/address"
    follow(client, mailbox.link("grace@acme.example"))
    assert client.get("/datasets/new").status_code == 200


def test_opening_a_link_changes_nothing(newcomer, mailbox, portal):
    client, address = newcomer
    link = mailbox.link(address)
    portal.test_client().get(link)
    assert client.get("/datasets/new").location == "/account/address"
    assert portal.test_client().get(link).status_code == 200


def test_a_link_works_once_and_until_it_expires(newcomer, mailbox, portal):
    client, address = newcomer
    old = mailbox.link(address)
    client.post("/account/address/verify")
    link = mailbox.link(address)
    assert client.get(old).status_code == 404, "the last one sent is the one that works"
    with operator_session("test") as session:
        session.execute(update(UserMail).values(expires_at=now()))
        session.commit()
    assert client.get(link).status_code == 404
    with operator_session("test") as session:
        session.execute(update(UserMail).values(expires_at=now() + timedelta(days=1)))
        session.commit()
    assert follow(portal.test_client(), link).status_code == 303
    assert client.get(link).status_code == 404


def test_a_links_token_stands_in_the_mail_alone(newcomer, mailbox, redis):
    _, address = newcomer
    token = mailbox.link(address).rpartition("/")[2]
    with operator_session("test") as session:
        row = session.scalars(select(UserMail)).one()
        assert row.token_digest is not None
        assert token not in str(vars(row))
    assert [key for key in redis.scan_iter() if token.encode() in (redis.dump(key) or b"")] == []


def test_no_link_is_good_for_another_end(newcomer, mailbox):
    client, address = newcomer
    token = mailbox.link(address).rpartition("/")[2]
    for path in ("password", "take-back"):
        assert client.get(f"/links/{path}/{token}").status_code == 404
    for token in ("", "x", "%00", "a" * 500):
        assert client.get(f"/links/address/{token}").status_code in (400, 404)


def test_a_mail_that_the_server_does_not_take_is_sent_again(newcomer, mailbox):
    client, address = newcomer
    mailbox.is_away = True
    work_off(Queue.BATCHES)
    assert mailbox.messages == []
    mailbox.is_away = False
    with operator_session("test") as session:
        session.execute(update(UserMail).values(due_at=now()))
        session.commit()
    periodic.tend_account_mail()
    assert follow(client, mailbox.link(address)).status_code == 303
    periodic.tend_account_mail()
    assert len(mailbox.subjects(address)) == 1


def test_what_was_mailed_is_forgotten_after_a_month(newcomer):
    with operator_session("test") as session:
        session.execute(update(UserMail).values(created_at=now() - timedelta(days=31)))
        session.commit()
    periodic.tend_account_mail()
    with operator_session("test") as session:
        assert session.scalars(select(UserMail)).all() == []


def test_a_new_address_counts_once_its_link_is_opened(verified, mailbox, portal):
    old = verified.email
    verified.client.post("/account/address", data={"email": " New@Acme.example "})
    assert user_of(verified).email == old
    assert follow(portal.test_client(), mailbox.link("new@acme.example")).status_code == 303
    assert user_of(verified).email == "new@acme.example"
    signing_in = {"password": PASSWORD}
    assert portal.test_client().post("/login", data={"email": old, **signing_in}).status_code == 422
    assert (
        portal.test_client().post("/login", data={"email": "new@acme.example", **signing_in}).status_code
        == 303
    )
    assert mailbox.subjects(old)[-1] == "Adaptary: Your e-mail address was changed"


def test_an_address_is_changed_by_whoever_knows_the_password(verified, mailbox):
    with operator_session("test") as session:
        session.execute(update(UserSession).values(started_at=now() - timedelta(minutes=11)))
        session.commit()
    wanted = {"email": "new@acme.example"}
    for form in (wanted, {**wanted, "current": "wrong"}):
        assert verified.client.post("/account/address", data=form).status_code == 422
    assert mailbox.subjects("new@acme.example") == []
    assert verified.client.post("/account/address", data={**wanted, "current": PASSWORD}).status_code == 303


def test_whose_an_address_is_already_is_told_to_its_mailbox_only(verified, other_admin, mailbox, portal):
    taken = verified.client.post("/account/address", data={"email": other_admin.email})
    free = verified.client.post("/account/address", data={"email": "free@acme.example"})
    assert (taken.status_code, taken.location) == (free.status_code, free.location)
    assert follow(portal.test_client(), mailbox.link("free@acme.example")).status_code == 303
    verified.client.post("/account/address", data={"email": other_admin.email})
    refused = follow(portal.test_client(), mailbox.link(other_admin.email))
    assert refused.status_code == 422
    assert "has an account already" in refused.get_data(as_text=True)


@pytest.mark.parametrize("address", ["", "nonsense", "a\r\nBcc: b@example.com@example.com"])
def test_what_is_no_address_is_refused(verified, address):
    assert verified.client.post("/account/address", data={"email": address}).status_code == 422


def test_whose_address_a_thief_changed_takes_the_account_back(verified, mailbox, portal):
    thief, old = verified.client, verified.email
    thief.post("/account/password", data={"current": PASSWORD, "password": "the thief's own words"})
    page = thief.get("/account/second-factor").get_data(as_text=True)
    secret = page.partition('id="totp-secret">')[2].partition("<")[0]
    thief.post("/account/second-factor/on", data={"code": pyotp.TOTP(secret).now()})
    way_back = change(verified, mailbox, "thief@evil.example")
    change(verified, mailbox, "thief2@evil.example")
    owner = portal.test_client()
    assert follow(owner, way_back, password=NEW_PASSWORD).status_code == 303
    assert thief.get("/account").status_code == 303, "the thief is signed out"
    user = user_of(verified)
    assert (user.email, user.totp_secret) == (old, None)
    assert owner.post("/login", data={"email": old, "password": NEW_PASSWORD}).location == "/"
    # The thief's own way back, to the address in between, works no more.
    with tenant_session(verified.scope) as session:
        left = session.scalars(
            select(UserMail).where(UserMail.kind == MailKind.ADDRESS_CHANGED, UserMail.used_at.is_(None))
        ).all()
        actions = session.scalars(select(AuditEvent.action)).all()
    assert left == []
    assert {"member.email_changed", "member.email_taken_back"} <= set(actions)


def test_an_address_that_was_mistyped_at_the_sign_up_is_no_way_into_the_account(newcomer, mailbox):
    client, mistyped = newcomer
    client.post("/account/address", data={"email": "right@acme.example"})
    follow(client, mailbox.link("right@acme.example"))
    assert client.get("/datasets/new").status_code == 200
    assert mailbox.subjects(mistyped) == ["Adaptary: Verify your e-mail address"]
    assert client.get(mailbox.link(mistyped)).status_code == 404


def test_a_second_factor_from_long_before_stays_when_an_account_is_taken_back(verified, mailbox, portal):
    page = verified.client.get("/account/second-factor").get_data(as_text=True)
    secret = page.partition('id="totp-secret">')[2].partition("<")[0]
    verified.client.post("/account/second-factor/on", data={"code": pyotp.TOTP(secret).now()})
    with operator_session("test") as session:
        session.get_one(User, verified.user_id).totp_since = now() - timedelta(days=30)
        session.commit()
    way_back = change(verified, mailbox, "other@acme.example")
    follow(portal.test_client(), way_back, password=NEW_PASSWORD)
    user = user_of(verified)
    assert user.totp_secret is not None
    assert user.recovery_digests is None, "the thief may have made those anew"


def test_a_forgotten_password_is_reset_by_mail_and_ends_every_session(verified, mailbox, portal):
    client = portal.test_client()
    assert SENT in client.post("/forgot-password", data={"email": verified.email}).get_data(as_text=True)
    link = mailbox.link(verified.email)
    assert follow(client, link, password=NEW_PASSWORD).status_code == 303
    assert verified.client.get("/account").status_code == 303
    assert client.post("/login", data={"email": verified.email, "password": PASSWORD}).status_code == 422
    assert client.post("/login", data={"email": verified.email, "password": NEW_PASSWORD}).status_code == 303
    assert client.get(link).status_code == 404
    assert mailbox.subjects(verified.email)[-1] == "Adaptary: Your password was changed"


def test_a_reset_asks_for_the_second_factor_as_before(verified, mailbox, portal):
    page = verified.client.get("/account/second-factor").get_data(as_text=True)
    secret = page.partition('id="totp-secret">')[2].partition("<")[0]
    verified.client.post("/account/second-factor/on", data={"code": pyotp.TOTP(secret).now()})
    client = portal.test_client()
    client.post("/forgot-password", data={"email": verified.email})
    follow(client, mailbox.link(verified.email), password=NEW_PASSWORD)
    signing_in = client.post("/login", data={"email": verified.email, "password": NEW_PASSWORD})
    assert signing_in.location == "/login/code"


def test_a_password_that_is_no_good_leaves_the_link_as_it_is(verified, mailbox, portal):
    client = portal.test_client()
    client.post("/forgot-password", data={"email": verified.email})
    link = mailbox.link(verified.email)
    assert follow(client, link, password="short").status_code == 422
    assert follow(client, link, password="password1234").status_code == 422
    assert follow(client, link, password=NEW_PASSWORD).status_code == 303


def test_who_asks_for_a_reset_learns_nothing_about_who_exists(verified, mailbox, portal, member):
    gone = member(Role.VIEWER)
    verified.client.post(f"/members/{gone.user_id}/deactivate")
    pages = set()
    for address in (verified.email, "nobody@acme.example", gone.email):
        answer = portal.test_client().post("/forgot-password", data={"email": address})
        pages.add((answer.status_code, re.sub(r'value="[^"]+"', "", answer.get_data(as_text=True))))
    assert len(pages) == 1
    assert mailbox.subjects("nobody@acme.example") == mailbox.subjects(gone.email) == []


def test_asking_for_links_is_bounded(verified, mailbox, client):
    answers = [
        client.post("/forgot-password", data={"email": "a@acme.example"}).status_code for _ in range(6)
    ]
    assert answers == [200] * 5 + [429]
    answers = [verified.client.post("/account/address/verify").status_code for _ in range(6)]
    assert answers == [303] * 5 + [429]


def test_a_link_for_the_old_address_does_not_survive_the_change(verified, mailbox, portal):
    old = verified.email
    portal.test_client().post("/forgot-password", data={"email": old})
    link = mailbox.link(old)
    change(verified, mailbox, "new@acme.example")
    assert portal.test_client().get(link).status_code == 404


def test_staff_reset_a_forgotten_password_too(staff, mailbox, portal):
    person = staff()
    client = portal.test_client()
    client.post("/forgot-password", data={"email": person.email})
    assert follow(client, mailbox.link(person.email), password=NEW_PASSWORD).status_code == 303
    assert person.client.get("/operator/tenants").status_code == 303
    assert client.post("/login", data={"email": person.email, "password": NEW_PASSWORD}).status_code == 303
    with operator_session("test") as session:
        assert MailKind.PASSWORD_CHANGED in session.scalars(select(StaffMail.kind)).all()


def test_without_a_mail_server_mail_lies_in_a_folder_and_the_page_says_so(admin, client):
    page = client.post("/forgot-password", data={"email": admin.email}).get_data(as_text=True)
    assert "has no mail server" in page
    work_off(Queue.BATCHES)
    folder = get_settings().state_dir / "mail"
    texts = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in folder.iterdir()
    ]
    assert any("/links/password/" in text.get_content() for text in texts if text["To"] == admin.email)
