"""API keys and sign-ins: one that is not good is answered alike, whatever is wrong with it."""

from datetime import timedelta

from sqlalchemy import Engine, event

from core import api_keys
from core.clock import now
from core.db import tenant_session
from core.models.api_keys import ApiKey
from tests.isolation.swaps import Answer, ask, difference
from tests.people import PASSWORD


def a_key(scope, **columns) -> str:
    with tenant_session(scope) as session:
        row, plain = api_keys.create(session, scope, "test")
        for name, value in columns.items():
            setattr(session.get_one(ApiKey, row.id), name, value)
        session.commit()
    return plain


def tried(api, key: str) -> Answer:
    return ask(api.test_client(), "GET", "/v1/models", key, headers={"Authorization": f"Bearer {key}"})


def test_a_key_that_was_good_once_is_answered_like_one_that_never_was(api, admin, other_admin):
    """But for the sentence that tells its holder why: who sends a key's 190 random bits has held it."""
    tried(api, a_key(admin.scope))  # the first one makes connections, too
    unknown = tried(api, api_keys.generate())
    assert unknown.status == 401
    for key in (
        a_key(admin.scope, revoked_at=now()),
        a_key(other_admin.scope, revoked_at=now()),
        a_key(admin.scope, expires_at=now() - timedelta(seconds=1)),
    ):
        found = tried(api, key)
        assert (found.status, found.work) == (unknown.status, unknown.work)
        kept = [(name, value) for name, value in found.headers if name != "Content-Length"]
        assert kept == [(name, value) for name, value in unknown.headers if name != "Content-Length"]
        assert '"code":"invalid_api_key"' in found.body.replace(" ", "")


def test_a_key_that_is_none_is_refused_without_asking_the_database(api, admin):
    key = a_key(admin.scope)
    for wrong in (
        key[:-1],
        key + "0",
        key.swapcase(),
        "ad_live_",
        "' OR 1=1 --",
        key[:20] + "0" * (len(key) - 20),
    ):
        refused = tried(api, wrong)
        assert refused.status == 401, wrong
        assert refused.work.statements == [], wrong


def test_a_key_is_looked_for_by_its_digest_and_reaches_no_statement(api, admin):
    key, values = a_key(admin.scope), []

    def note(_connection, _cursor, _statement, parameters, *_):
        values.append(repr(parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert tried(api, key).status == 200
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any("digest" in value for value in values)
    assert not [value for value in values if key in value]


def test_a_wrong_password_and_an_address_that_nobody_has_take_the_same_way(portal, admin, staff):
    client = portal.test_client()

    def signed_in(email: str) -> Answer:
        return ask(client, "POST", "/login", email, data={"email": email, "password": PASSWORD + "!"})

    signed_in("nobody@example.com")  # the first one makes connections, too
    for email in (admin.email, staff().email):
        name, _, host = email.partition("@")
        nobody, found = signed_in(f"{'x' * len(name)}@{host}"), signed_in(email)
        assert nobody.status == 422
        assert not difference(found, nobody), difference(found, nobody)
