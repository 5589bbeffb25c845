"""What keeps an API key in: what it is for, how long it lasts, where from, and how it is replaced."""

from datetime import timedelta

import pytest

from core import api_keys
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.api_keys import ApiKey
from core.networks import InvalidNetwork, is_within, parse_networks


@pytest.fixture(scope="module")
def api(services):
    from portal.api.app import create_api

    app = create_api()
    app.config["TESTING"] = True
    return app


@pytest.fixture
def make_key(admin):
    """`make_key(…)`: the row and the plain key of a new key of `admin`'s tenant."""

    def make_key(**settings):
        with tenant_session(admin.scope) as session:
            key, plain = api_keys.create(session, admin.scope, "test", **settings)
            session.commit()
        return key, plain

    return make_key


def call(api, plain: str, path: str = "/v1/models", address: str = "203.0.113.7") -> tuple[int, str]:
    """The answer's status, and its error's code."""
    answer = api.test_client().get(
        path, headers={"Authorization": f"Bearer {plain}"}, environ_base={"REMOTE_ADDR": address}
    )
    return answer.status_code, (answer.get_json().get("error") or {}).get("code", "")


def test_a_key_is_refused_from_its_expiry_on(api, make_key):
    _, lasting = make_key(expires_at=now() + timedelta(minutes=5))
    _, expired = make_key(expires_at=now())
    assert call(api, lasting) == (200, "")
    assert call(api, expired) == (401, "invalid_api_key")


def test_a_key_is_good_from_its_networks_only(api, make_key):
    _, plain = make_key(networks=["203.0.113.0/24", "2001:db8::/32"])
    assert call(api, plain) == (200, "")
    assert call(api, plain, address="2001:db8::1") == (200, "")
    assert call(api, plain, address="::ffff:203.0.113.9") == (200, "")
    assert call(api, plain, address="198.51.100.1") == (403, "address_not_allowed")


def test_a_header_does_not_say_where_a_request_comes_from(api, make_key):
    _, plain = make_key(networks=["203.0.113.0/24"])
    answer = api.test_client().get(
        "/v1/models",
        headers={"Authorization": f"Bearer {plain}", "X-Forwarded-For": "203.0.113.7"},
        environ_base={"REMOTE_ADDR": "198.51.100.1"},
    )
    assert answer.status_code == 403


def test_a_key_that_only_manages_calls_no_models(api, make_key):
    _, plain = make_key(may_predict=False, may_manage=True)
    assert call(api, plain, "/v1/files") == (200, "")
    answer = api.test_client().post(
        "/v1/classify",
        headers={"Authorization": f"Bearer {plain}"},
        json={"model": "messages", "input": "text"},
    )
    assert answer.status_code == 403
    _, calling = make_key()
    assert call(api, calling, "/v1/files")[0] == 403


def test_a_replaced_key_goes_on_until_its_overlap_ends(admin, api, make_key):
    old, old_plain = make_key(networks=["203.0.113.0/24"], may_manage=True)
    with tenant_session(admin.scope) as session:
        new, new_plain = api_keys.replace(
            session, admin.scope, session.get_one(ApiKey, old.id), timedelta(hours=1)
        )
        session.commit()
    assert (new.name, new.networks, new.may_manage) == (old.name, old.networks, True)
    assert call(api, new_plain) == call(api, old_plain) == (200, "")
    with operator_session("test") as session:
        session.get_one(ApiKey, old.id).expires_at = now()
        session.commit()
    assert call(api, new_plain) == (200, "")
    assert call(api, old_plain) == (401, "invalid_api_key")


def test_a_key_is_replaced_once_and_never_outlives_its_expiry(admin, make_key):
    soon = now() + timedelta(minutes=5)
    old, _ = make_key(expires_at=soon)
    with tenant_session(admin.scope) as session:
        row = session.get_one(ApiKey, old.id)
        new, _ = api_keys.replace(session, admin.scope, row, timedelta(hours=24))
        assert row.expires_at == soon
        assert new.expires_at is not None
        assert timedelta(minutes=4) < new.expires_at - now() <= timedelta(minutes=6)
        with pytest.raises(api_keys.AlreadyReplaced):
            api_keys.replace(session, admin.scope, row, timedelta(hours=24))


def test_expired_keys_leave_room_for_others(admin, make_key, monkeypatch):
    monkeypatch.setattr(api_keys, "MAXIMUM_ACTIVE", 1)
    make_key(expires_at=now())
    make_key()
    with pytest.raises(api_keys.TooManyKeys):
        make_key()


def test_networks_are_read_one_a_line():
    assert parse_networks(" 203.0.113.7\n\n10.1.2.3/8 \n2001:db8::/32\n203.0.113.7/32") == [
        "203.0.113.7/32",
        "10.0.0.0/8",
        "2001:db8::/32",
    ]
    for wrong in (
        "203.0.113",
        "203.0.113.0/33",
        "example.com",
        "\n".join(f"10.0.{n}.0/24" for n in range(51)),
    ):
        with pytest.raises(InvalidNetwork):
            parse_networks(wrong)


@pytest.mark.parametrize("address", [None, "", "nonsense", "203.0.114.1", "::1"])
def test_an_address_outside_is_outside(address):
    assert not is_within(address, ["203.0.113.0/24"])
