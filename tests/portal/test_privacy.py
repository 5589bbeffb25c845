"""The privacy policy: its versions, and what it asks for."""

from html import unescape

import pytest
from sqlalchemy import select

from core.db import tenant_session
from core.models.models import Model
from core.models.privacy import PrivacyPolicy
from core.privacy.entities import CHOOSABLE
from core.privacy.policies import current_policy, policy_of
from core.storage import tenant_key
from core.tenancy import Role


def listed(person, row: PrivacyPolicy) -> tuple[list[str], list[str]]:
    """What the version never replaces, and what it always does."""
    with tenant_session(person.scope) as session:
        policy = policy_of(row, tenant_key(session, person.scope.tenant_id))
    return sorted(policy.allow_list), sorted(policy.deny_list)


ON = {"enabled": "y", "entities": ["PERSON"], "allow_list": "Acme\n\n  Acme \nBig   Ben\n"}


def versions(person) -> list[PrivacyPolicy]:
    with tenant_session(person.scope) as session:
        return list(session.scalars(select(PrivacyPolicy).order_by(PrivacyPolicy.version)))


def test_the_page_tells_what_every_entity_means(admin):
    page = admin.client.get("/privacy").get_data(as_text=True)
    for entity in CHOOSABLE:
        assert entity.title in page


def test_each_change_is_a_version_of_its_own(admin):
    assert admin.client.post("/privacy", data=ON).status_code == 303
    assert admin.client.post("/privacy", data={**ON, "entities": ["EMAIL_ADDRESS"]}).status_code == 303
    first, second = versions(admin)
    assert (first.entities, listed(admin, first)[0]) == (["PERSON"], ["Acme", "Big Ben"])
    assert (second.entities, second.version) == (["EMAIL_ADDRESS"], first.version + 1)
    with tenant_session(admin.scope) as session:
        assert current_policy(session, admin.scope.tenant_id).version == second.version


def test_switching_off_needs_a_reason_and_is_shown(admin):
    response = admin.client.post("/privacy", data={"entities": ["PERSON"]})
    assert response.status_code == 422
    assert "Say why" in response.get_data(as_text=True)
    admin.client.post("/privacy", data={"entities": ["PERSON"], "reason": "The texts are public."})
    page = admin.client.get("/privacy").get_data(as_text=True)
    assert "Personal data is left as it is" in page
    assert "The texts are public." in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entities": []}, "Choose at least one"),
        ({"entities": ["HOROSCOPE"]}, "not a valid choice"),
        ({"allow_list": "x" * 201}, "at most 200 characters"),
        ({"allow_list": "\n".join(map(str, range(1001)))}, "at most 1000 values"),
    ],
)
def test_a_wrong_policy_is_refused_beside_its_field(admin, change, message):
    response = admin.client.post("/privacy", data={**ON, **change})
    assert response.status_code == 422
    assert message in response.get_data(as_text=True)
    assert versions(admin) == []


def test_who_may_only_read_gets_no_button(member):
    page = member(Role.DEVELOPER).client.get("/privacy").get_data(as_text=True)
    assert "Save as a new version" not in page


def test_operators_and_both_lists_are_saved_and_shown_again(admin):
    lists = {"deny_list": "Project Halden\n", "operators-PERSON": "surrogate", "operators-CUSTOM": "drop"}
    assert admin.client.post("/privacy", data={**ON, **lists}).status_code == 303
    (row,) = versions(admin)
    assert listed(admin, row) == (["Acme", "Big Ben"], ["Project Halden"])
    assert row.operators == {"PERSON": "surrogate", "CUSTOM": "drop"}
    page = admin.client.get("/privacy").get_data(as_text=True)
    assert "Project Halden</textarea>" in page
    assert '<option selected value="surrogate">' in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deny_list": "Acme"}, "is on both lists"),
        ({"deny_list": "x"}, "at least 2 characters"),
        ({"operators-PERSON": "publish"}, "Not a valid choice"),
    ],
)
def test_wrong_lists_and_operators_are_refused_beside_their_field(admin, change, message):
    response = admin.client.post("/privacy", data={**ON, **change})
    assert (response.status_code, message in response.get_data(as_text=True)) == (422, True)
    assert versions(admin) == []


@pytest.fixture
def model(admin):
    with tenant_session(admin.scope) as session:
        model = Model(tenant_id=admin.scope.tenant_id, name="support", base_model="any")
        session.add(model)
        session.commit()
        return model.id


def test_a_model_gets_a_policy_of_its_own_and_goes_back_to_the_tenants(admin, model):
    url = f"/privacy/models/{model}"
    assert "Use the tenant" not in admin.client.get(url).get_data(as_text=True)
    assert admin.client.post(url, data=ON).status_code == 303
    assert "Its own, version 1" in admin.client.get("/privacy").get_data(as_text=True)
    assert "this model's own" in unescape(admin.client.get(url).get_data(as_text=True))
    assert admin.client.post(f"{url}/withdraw").status_code == 303
    assert "Its own" not in admin.client.get("/privacy").get_data(as_text=True)
    assert [row.withdrawn for row in versions(admin)] == [False, True]
    admin.client.post(f"{url}/withdraw")
    assert len(versions(admin)) == 2


def test_another_tenants_model_is_not_found(other_admin, model):
    url = f"/privacy/models/{model}"
    assert other_admin.client.get(url).status_code == 404
    assert other_admin.client.post(url, data=ON).status_code == 404
    assert other_admin.client.post(f"{url}/withdraw").status_code == 404
