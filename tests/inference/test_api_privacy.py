"""Which privacy policy an answer was given under, and what it did."""

import pytest

from core.db import tenant_session
from core.privacy.policies import change_policy, withdraw_policy
from tests.inference.adapter_files import Reference
from tests.inference.conftest import Caller, publish

TEXT = "Where is my parcel?"


def set_policy(caller: Caller, **values: object) -> None:
    with tenant_session(caller.scope) as session:
        change_policy(session, caller.scope, **{"entities": ["PERSON"], **values})
        session.commit()


def test_an_answer_names_the_policy_which_is_the_models_own_before_the_tenants(
    caller: Caller, other_caller: Caller, support: Reference
) -> None:
    model = publish(caller.scope, "support", support).model_id
    publish(caller.scope, "other", support)
    publish(other_caller.scope, "support", support)

    def versions() -> list[int]:
        return [caller.classify(name, TEXT).get_json()["policy_version"] for name in ("support", "other")]

    assert versions() == [0, 0]
    set_policy(caller)
    assert versions() == [1, 1]
    set_policy(caller, model_id=model)
    set_policy(caller)
    assert versions() == [2, 3]
    with tenant_session(caller.scope) as session:
        withdraw_policy(session, caller.scope, model)
        session.commit()
    assert versions() == [3, 3]
    assert other_caller.classify("support", TEXT).get_json()["policy_version"] == 0


@pytest.mark.parametrize("operator", ["surrogate", "mask", "hash", "drop"])
def test_a_model_reads_what_the_operator_leaves(caller: Caller, support: Reference, operator: str) -> None:
    publish(caller.scope, "support", support)
    set_policy(caller, deny_list=["parcel"], operators={"CUSTOM": operator})
    assert caller.classify("support", TEXT).status_code == 200
