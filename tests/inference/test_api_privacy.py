"""Which privacy policy an answer was given under, and what it did."""

from typing import Any

import pytest

from core.db import tenant_session
from core.models.usage import UsageKind
from core.privacy.policies import change_policy, withdraw_policy
from tests.inference.adapter_files import Reference
from tests.inference.conftest import Caller, publish

TEXT = "Where is my parcel?"


def set_policy(caller: Caller, **values: Any) -> None:
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


JANE, CARD = "Jane Smith", "4012 8888 8888 1881"


def anonymized(caller: Caller, **body: object) -> Any:
    return caller.client.post("/v1/anonymize", json=body, headers=caller.headers)


def test_texts_come_back_without_personal_data_with_places_mapping_and_a_fact(caller: Caller) -> None:
    texts = [f"😀 I am {JANE}, card {CARD}.", f"[PERSON_1] is not {JANE}."]
    body = anonymized(caller, input=texts).get_json()
    first, second = body["results"]
    assert first["text"] == "😀 I am [PERSON_1], card [CREDIT_CARD_1]."
    assert second["text"] == "[~PERSON_1] is not [PERSON_1]."
    assert body["mapping"] == {"[PERSON_1]": JANE, "[CREDIT_CARD_1]": CARD}
    for text, result in zip(texts, body["results"], strict=True):
        for one in result["entities"]:
            assert text[one["start"] : one["end"]] == body["mapping"][one["replacement"]]
    assert [one["entity"] for one in first["entities"]] == ["PERSON", "CREDIT_CARD"]
    (fact,) = caller.facts()
    assert (fact.kind, fact.inputs, fact.model_id) == (UsageKind.PREDICTION, 2, None)
    assert fact.quantity == body["usage"]["tokens"] == first["tokens"] + second["tokens"] > 20


def test_what_is_hashed_or_off_is_in_no_mapping(caller: Caller) -> None:
    set_policy(caller, operators={"PERSON": "hash"})
    body = anonymized(caller, input=f"I am {JANE}.").get_json()
    assert (body["mapping"], JANE in body["results"][0]["text"]) == ({}, False)
    set_policy(caller, enabled=False, reason="The texts are public.")
    body = anonymized(caller, input=f"[PERSON_1] is {JANE}.").get_json()
    assert (body["mapping"], body["results"][0]["text"]) == ({}, f"[PERSON_1] is {JANE}.")
    assert body["results"][0]["entities"] == []


def test_a_models_own_policy_is_taken_by_its_name_and_nobody_elses_model_is(
    caller: Caller, other_caller: Caller, support: Reference
) -> None:
    model = publish(caller.scope, "support", support).model_id
    set_policy(caller, model_id=model, entities=[], deny_list=["parcel"])
    body = anonymized(caller, input=TEXT, model="support").get_json()
    assert (body["policy_version"], body["mapping"]) == (1, {"[CUSTOM_1]": "parcel"})
    assert anonymized(caller, input=TEXT).get_json()["mapping"] == {}
    assert anonymized(other_caller, input=TEXT, model="support").status_code == 404


@pytest.mark.parametrize(
    "wrong", [{}, {"input": ""}, {"input": [" "]}, {"input": "a", "task": "b"}, {"input": [1]}]
)
def test_a_wrong_request_is_refused_and_not_billed(caller: Caller, wrong: dict[str, object]) -> None:
    assert anonymized(caller, **wrong).status_code in {400, 422}
    assert caller.facts() == []


@pytest.mark.parametrize("engine", ["patterns", "tagger"])
def test_a_detector_that_fails_closes_the_door(
    caller: Caller,
    support: Reference,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    engine: str,
) -> None:
    def fail() -> None:
        raise RuntimeError(f"cannot read {JANE}")

    publish(caller.scope, "support", support)
    monkeypatch.setattr(f"core.privacy.engines.{engine}", fail)

    for refused in (caller.classify("support", JANE), anonymized(caller, input=JANE)):
        assert refused.status_code == 503
        assert refused.get_json()["error"]["code"] == "not_searched"
        assert "Try again" in refused.get_json()["error"]["message"]
        assert refused.headers["Retry-After"]
        assert JANE not in refused.get_data(as_text=True) + caplog.text
