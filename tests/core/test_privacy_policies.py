"""A tenant's policy: versions that only ever come on top, and what a policy may say."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import select

from core.crypto import KeyRejected
from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent
from core.models.models import Model
from core.models.privacy import PrivacyPolicy
from core.privacy.entities import DEFAULT_POLICY
from core.privacy.policies import (
    MAX_LISTED_VALUE_LENGTH,
    MAX_LISTED_VALUES,
    MAX_REASON_LENGTH,
    NoSuchModel,
    PolicyError,
    change_policy,
    current_policy,
    list_value,
    policy_of,
    withdraw_policy,
)
from core.privacy.sealed_lists import open_lists
from core.privacy.types import Operator
from core.storage import tenant_key
from core.tenancy import Permission, PermissionDenied, system_scope


@pytest.fixture
def scope(make_tenant):
    return system_scope(make_tenant().id, "test")


def change(scope, **values):
    with tenant_session(scope) as session:
        policy = change_policy(session, scope, **{"entities": ["PERSON"], **values})
        session.commit()
        return policy


def current(scope):
    with tenant_session(scope) as session:
        return current_policy(session, scope.tenant_id)


def test_a_tenant_starts_with_the_default_policy(scope):
    assert current(scope) == DEFAULT_POLICY
    assert (DEFAULT_POLICY.enabled, DEFAULT_POLICY.version) == (True, 0)


def test_the_newest_version_is_in_force_and_the_others_stay(scope):
    change(scope, allow_list=["Acme"])
    change(scope, entities=["URL", "PERSON", "URL"], allow_list=["  Big \n Ben ", "", "Big Ben"])

    policy = current(scope)
    assert (policy.version, policy.entities, policy.allow_list) == (
        2,
        frozenset({"PERSON", "URL"}),
        frozenset({"Big Ben"}),
    )
    with tenant_session(scope) as session:
        key = tenant_key(session, scope.tenant_id)
        versions = session.scalars(select(PrivacyPolicy).order_by(PrivacyPolicy.version)).all()
    assert [(row.version, row.entities, policy_of(row, key).allow_list) for row in versions] == [
        (1, ["PERSON"], frozenset({"Acme"})),
        (2, ["PERSON", "URL"], frozenset({"Big Ben"})),
    ]


def test_a_policy_holds_for_its_tenant_only(scope, make_tenant):
    other = system_scope(make_tenant().id, "test")
    change(scope, entities=["URL"])
    assert current(other) == DEFAULT_POLICY
    with tenant_session(other) as session:
        assert current_policy(session, scope.tenant_id) == DEFAULT_POLICY


def test_admins_at_the_same_moment_make_versions_one_after_the_other(scope):
    admins = 4
    together = Barrier(admins)

    def save(number: int) -> int:
        with tenant_session(scope) as session:
            together.wait()
            version = change_policy(
                session, scope, entities=["PERSON"], allow_list=[f"Admin {number}"]
            ).version
            session.commit()
        return version

    with ThreadPoolExecutor(admins) as pool:
        versions = list(pool.map(save, range(admins)))

    assert sorted(versions) == [1, 2, 3, 4]
    assert current(scope).allow_list == {f"Admin {versions.index(4)}"}


def test_a_change_that_is_rolled_back_was_none(scope):
    with tenant_session(scope) as session:
        change_policy(session, scope, entities=["URL"])
    assert current(scope) == DEFAULT_POLICY
    assert change(scope).version == 1


def test_a_change_is_in_the_audit_log_without_the_allowed_values(scope):
    change(scope, enabled=False, reason="The texts are public.", allow_list=["Ada Lovelace", "Grace Hopper"])
    with tenant_session(scope) as session:
        entry = session.scalars(select(AuditEvent).where(AuditEvent.action == "policy.changed")).one()
    assert entry.detail["allowed_values"] == 2
    assert entry.detail["reason"] == "The texts are public."
    assert "Ada" not in str(entry.detail)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"entities": ["HOROSCOPE"]}, "entities"),
        ({"entities": []}, "entities"),
        ({"allow_list": ["x" * (MAX_LISTED_VALUE_LENGTH + 1)]}, "allow_list"),
        ({"allow_list": map(str, range(MAX_LISTED_VALUES + 1))}, "allow_list"),
        ({"allow_list": ["A\0B"]}, "allow_list"),
        ({"enabled": False}, "reason"),
        ({"enabled": False, "reason": "  "}, "reason"),
        ({"reason": "x" * (MAX_REASON_LENGTH + 1)}, "reason"),
        ({"reason": "A\0B"}, "reason"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(scope, values, field):
    with pytest.raises(PolicyError) as refused:
        change(scope, **values)
    assert refused.value.field == field
    assert current(scope) == DEFAULT_POLICY


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"deny_list": ["x" * (MAX_LISTED_VALUE_LENGTH + 1)]}, "deny_list"),
        ({"deny_list": ["x"]}, "deny_list"),
        ({"deny_list": ["Acme  Works"], "allow_list": ["ACME works"]}, "deny_list"),
        ({"operators": {"HOROSCOPE": "mask"}}, "operators"),
        ({"operators": {"PERSON": "publish"}}, "operators"),
        ({"entities": ["CUSTOM"]}, "entities"),
    ],
)
def test_lists_and_operators_that_cannot_be_are_refused(scope, values, field):
    with pytest.raises(PolicyError) as refused:
        change(scope, **values)
    assert refused.value.field == field


def test_operators_and_the_list_of_what_is_always_replaced_are_kept(scope):
    change(
        scope,
        entities=[],
        deny_list=[" Halden  Works "],
        operators={"PERSON": "surrogate", "URL": "pseudonym", "CUSTOM": "drop"},
    )
    policy = current(scope)
    assert policy.deny_list == {"Halden Works"}
    assert policy.operators == {"PERSON": Operator.SURROGATE, "CUSTOM": Operator.DROP}
    assert policy.operator("URL") is Operator.PSEUDONYM


def test_listed_values_are_in_the_database_only_sealed_for_their_tenant_and_version(scope, make_tenant):
    row = change(scope, allow_list=["Ada Lovelace"], deny_list=["Käthe"])
    assert row.sealed_lists is not None
    assert not any(value.encode() in row.sealed_lists for value in ("Ada", "Käthe"))
    with tenant_session(scope) as session:
        key = tenant_key(session, scope.tenant_id)
    other = make_tenant().id
    with operator_session("test") as session:
        others_key = tenant_key(session, other)
    lists = open_lists(key, row.version, row.sealed_lists)
    assert lists == (frozenset({"Ada Lovelace"}), frozenset({"Käthe"}))
    for wrong_key, version in ((others_key, row.version), (key, row.version + 1)):
        with pytest.raises(KeyRejected):
            open_lists(wrong_key, version, row.sealed_lists)


@pytest.fixture
def model(scope):
    with tenant_session(scope) as session:
        model = Model(tenant_id=scope.tenant_id, name="support", base_model="any")
        session.add(model)
        session.commit()
        return model.id


def of_model(scope, model):
    with tenant_session(scope) as session:
        return current_policy(session, scope.tenant_id, model)


def test_a_model_has_the_tenants_policy_until_it_has_its_own_and_after_that_was_withdrawn(scope, model):
    change(scope, entities=["URL"])
    assert of_model(scope, model) == current(scope)

    change(scope, entities=["PERSON"], model_id=model)
    change(scope, entities=["CRYPTO"])
    assert (of_model(scope, model).version, of_model(scope, model).entities) == (2, {"PERSON"})
    assert (current(scope).version, current(scope).entities) == (3, {"CRYPTO"})

    with tenant_session(scope) as session:
        withdraw_policy(session, scope, model)
        session.commit()
    assert of_model(scope, model) == current(scope)
    assert current(scope).version == 3


def test_there_is_no_policy_for_a_model_of_another_tenants(scope, model, make_tenant):
    other = system_scope(make_tenant().id, "test")
    with pytest.raises(NoSuchModel):
        change(other, model_id=model)
    with tenant_session(other) as session, pytest.raises(NoSuchModel):
        withdraw_policy(session, other, model)


def test_switched_off_it_may_name_no_kinds(scope):
    change(scope, entities=[], enabled=False, reason="The texts are public.")
    assert not current(scope).enabled


def test_only_who_may_changes_it(scope):
    reader = replace(scope, permissions=frozenset({Permission.PRIVACY_READ}))
    with pytest.raises(PermissionDenied):
        change(reader)


def test_a_kind_that_this_release_does_not_know_is_not_looked_for(scope):
    with tenant_session(scope) as session:
        session.add(
            PrivacyPolicy(
                tenant_id=scope.tenant_id,
                id=uuid4(),
                version=7,
                entities=["PERSON", "HOROSCOPE"],
                operators={},
                enabled=True,
                withdrawn=False,
            )
        )
        session.commit()
    assert current(scope).entities == {"PERSON"}


def listed(scope, value, *, denied):
    with tenant_session(scope) as session:
        list_value(session, scope, value, denied=denied)
        session.commit()
    return current(scope)


def test_a_value_that_is_listed_leaves_the_rest_of_the_policy_as_it_is(scope):
    change(scope, allow_list=["Acme"], deny_list=["Halden"], operators={"PERSON": Operator.MASK})
    before = current(scope)
    after = listed(scope, "Big Ben", denied=False)
    assert after == replace(before, version=2, allow_list=frozenset({"Acme", "Big Ben"}))


def test_a_value_that_is_listed_leaves_the_other_list_in_whatever_spelling(scope):
    change(scope, allow_list=["Acme  Ltd"])
    policy = listed(scope, "ACME Ltd", denied=True)
    assert (policy.allow_list, policy.deny_list) == (frozenset(), frozenset({"ACME Ltd"}))


def test_values_listed_at_once_are_all_listed(scope):
    ready = Barrier(4)

    def add(number):
        ready.wait()
        listed(scope, f"Value {number}", denied=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert current(scope).allow_list == {f"Value {number}" for number in range(4)}


def test_who_may_not_change_the_policy_lists_no_value(scope):
    reader = replace(scope, permissions=frozenset({Permission.PRIVACY_READ, Permission.DATASETS_WRITE}))
    with tenant_session(reader) as session, pytest.raises(PermissionDenied):
        list_value(session, reader, "Acme", denied=False)
