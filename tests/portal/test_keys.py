"""API keys: made, shown once, recognised, revoked."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from core import api_keys
from core.catalogue import DEFAULT_BASE_MODEL, Task
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.api_keys import ApiKey
from core.models.models import Model
from core.tenancy import EVERYTHING, Endpoint, Role


def create(person, name: str = "Help desk") -> str:
    """The plain key that the page shows."""
    response = person.client.post("/keys", data={"name": name})
    assert response.status_code == 201
    shown = re.search(r'id="api-key">(ad_live_\w+)<', response.get_data(as_text=True))
    assert shown is not None
    return shown[1]


def test_a_key_is_shown_once_and_works(admin):
    plain = create(admin)
    with operator_session("test") as session:
        assert api_keys.verify(session, plain).scope.tenant_id == admin.scope.tenant_id
    page = admin.client.get("/keys").get_data(as_text=True)
    assert plain not in page
    assert plain[: api_keys.SHOWN_PREFIX_LENGTH] in page
    assert "Help desk" in page


def test_the_new_keys_page_shows_the_first_request_without_the_key_in_it(admin):
    page = admin.client.post("/keys", data={"name": "Help desk"}).get_data(as_text=True)
    assert "/v1/classify" in page
    assert page.count("ad_live_") == 1


def test_the_page_with_a_key_is_kept_by_no_cache(admin):
    response = admin.client.post("/keys", data={"name": "Help desk"})
    assert response.headers["Cache-Control"] == "no-store"


def test_two_active_keys_cannot_have_one_name(admin):
    create(admin)
    response = admin.client.post("/keys", data={"name": " Help  desk "})
    assert response.status_code == 422
    assert "An active key has this name" in response.get_data(as_text=True)
    with tenant_session(admin.scope) as session:
        key = session.scalars(select(ApiKey)).one()
    admin.client.post(f"/keys/{key.id}/revoke")
    create(admin)


def test_a_tenant_has_so_many_active_keys_and_no_more(admin):
    with tenant_session(admin.scope) as session:
        keys = [
            api_keys.create(session, admin.scope, f"Key {number}")[0]
            for number in range(api_keys.MAXIMUM_ACTIVE)
        ]
        session.commit()
    refused = admin.client.post("/keys", data={"name": "One more"})
    assert refused.status_code == 422
    assert "Revoke one that nothing uses" in refused.get_data(as_text=True)
    admin.client.post(f"/keys/{keys[0].id}/revoke")
    assert admin.client.post("/keys", data={"name": "One more"}).status_code == 201


def test_a_revoked_key_is_listed_apart(admin):
    plain = create(admin)
    with tenant_session(admin.scope) as session:
        key = session.scalars(select(ApiKey)).one()
    assert admin.client.post(f"/keys/{key.id}/revoke").status_code == 303
    page = admin.client.get("/keys").get_data(as_text=True)
    assert "Revoked and expired keys (1)" in page
    assert "No active keys" in page
    with operator_session("test") as session, pytest.raises(api_keys.InvalidApiKey):
        api_keys.verify(session, plain)


def test_a_key_needs_a_name(admin):
    response = admin.client.post("/keys", data={"name": "  "})
    assert response.status_code == 422
    assert "Give the key a name" in response.get_data(as_text=True)


def test_finance_has_no_keys(member):
    assert member(Role.FINANCE).client.get("/keys").status_code == 403


def test_a_key_has_its_default_model_and_its_own_limits(admin, other_admin):
    with tenant_session(admin.scope) as session:
        chat = Model(name="faq", task=Task.CHAT, base_model="smollm2-135m-instruct")
        other = Model(name="support", base_model="all-minilm-l6-v2")
        for model in (chat, other):
            model.tenant_id = admin.scope.tenant_id
            session.add(model)
        session.commit()
    fields = {"default_model": "faq", "requests_per_minute": "20", "tokens_per_minute": "3000"}
    answer = admin.client.post("/keys", data={"name": "Shop", **fields})
    assert answer.status_code == 201
    with tenant_session(admin.scope) as session:
        key = session.scalars(select(ApiKey)).one()
    assert (key.default_model_id, key.requests_per_minute, key.tokens_per_minute) == (chat.id, 20, 3000)
    assert "20 requests, 3,000 tokens" in admin.client.get("/keys").get_data(as_text=True)
    for wrong in ({"default_model": "support"}, {"tokens_per_minute": "0"}, {"requests_per_minute": "x"}):
        assert admin.client.post("/keys", data={"name": "Wrong", **wrong}).status_code == 422
    assert (
        other_admin.client.post("/keys", data={"name": "Theirs", "default_model": "faq"}).status_code == 422
    )


def test_a_key_is_made_with_what_keeps_it_in(admin):
    fields = {"access": "manage", "lifetime_days": "30", "networks": "203.0.113.7\n10.0.0.0/8"}
    assert admin.client.post("/keys", data={"name": "CI", **fields}).status_code == 201
    with tenant_session(admin.scope) as session:
        key = session.scalars(select(ApiKey)).one()
    assert (key.may_predict, key.may_manage) == (False, True)
    assert key.networks == ["203.0.113.7/32", "10.0.0.0/8"]
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - now() <= timedelta(days=30)
    page = admin.client.get("/keys").get_data(as_text=True)
    assert "203.0.113.7/32, 10.0.0.0/8" in page
    wrong = admin.client.post("/keys", data={"name": "Wrong", "networks": "example.com"})
    assert wrong.status_code == 422
    assert "is no address or network" in wrong.get_data(as_text=True)


def test_a_key_is_replaced_by_one_that_is_shown_once(admin):
    plain = create(admin)
    with tenant_session(admin.scope) as session:
        old = session.scalars(select(ApiKey)).one()
    answer = admin.client.post(f"/keys/{old.id}/replace", data={"overlap_hours": "24"})
    assert answer.status_code == 201
    shown = re.search(r'id="api-key">(ad_live_\w+)<', answer.get_data(as_text=True))
    assert shown is not None
    assert shown[1] != plain
    with operator_session("test") as session:
        assert api_keys.verify(session, plain).id == old.id
        assert api_keys.verify(session, shown[1]).id != old.id
    again = admin.client.post(f"/keys/{old.id}/replace", data={"overlap_hours": "24"})
    assert again.status_code == 303
    assert "Replace the one that follows it" in admin.client.get("/keys").get_data(as_text=True)


@pytest.fixture
def two_models(admin):
    """The ids of two models of `admin`'s tenant, by name: of labels and of chats."""
    with tenant_session(admin.scope) as session:
        models = [
            Model(tenant_id=admin.scope.tenant_id, name="messages", task=Task.CLASSIFICATION, base_model="b"),
            Model(tenant_id=admin.scope.tenant_id, name="faq", task=Task.CHAT, base_model="b"),
        ]
        session.add_all(models)
        session.commit()
    return {model.name: model.id for model in models}


def test_a_key_is_limited_to_models_and_endpoints_in_its_form(admin, two_models):
    chosen = {"name": "Help desk", "models": ["messages", DEFAULT_BASE_MODEL], "endpoints": ["classify"]}
    assert admin.client.post("/keys", data=chosen).status_code == 201
    with tenant_session(admin.scope) as session:
        reach = api_keys.reach_of(session, session.scalars(select(ApiKey)).one())
    assert reach.models == frozenset((two_models["messages"], DEFAULT_BASE_MODEL))
    assert reach.endpoints == frozenset([Endpoint.CLASSIFY])
    page = admin.client.get("/keys").get_data(as_text=True)
    assert f"Only messages, {DEFAULT_BASE_MODEL}" in page
    assert "Only to classify" in page


def test_a_key_that_names_no_models_reaches_all_of_them(admin, two_models):
    create(admin)
    with tenant_session(admin.scope) as session:
        assert api_keys.reach_of(session, session.scalars(select(ApiKey)).one()) == EVERYTHING


def test_the_default_model_is_to_be_among_the_models_of_the_key(admin, two_models):
    chosen = {"name": "Shop", "models": "messages", "default_model": "faq"}
    refused = admin.client.post("/keys", data=chosen)
    assert refused.status_code == 422
    assert "Choose the default model among" in refused.get_data(as_text=True)


def test_another_tenants_model_cannot_be_chosen_for_a_key(other_admin, two_models):
    refused = other_admin.client.post("/keys", data={"name": "Shop", "models": "messages"})
    assert refused.status_code == 422
