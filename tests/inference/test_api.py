"""The API with a real database, Redis and pool: what it answers, what it refuses, and what it writes down."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch
from flask import Flask
from sqlalchemy import update

from core import api_keys
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.api_keys import ApiKey
from core.models.models import Model
from core.models.tenants import Tenant, TenantStatus
from core.models.usage import UsageKind, UsageSource
from core.queues import redis
from inference.gateway.pool_client import pool_client
from tests.inference.adapter_files import BASE, Reference
from tests.inference.conftest import Caller, publish
from tests.inference.pool_process import PoolProcess

TEXTS = ["Where is my order?", "I want my money back"]


@pytest.fixture(autouse=True)
def fresh_limits(api: Flask) -> Iterator[None]:
    """No test pays for another one's requests."""
    yield
    for key in redis().scan_iter("rates:*"):
        redis().delete(key)


def error_of(response) -> dict[str, object]:
    """The error in an answer, which is always of the same form."""
    body = response.get_json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "code", "message", "param", "request_id"}
    assert body["error"]["request_id"] == response.headers["X-Request-Id"]
    return dict(body["error"])


def test_a_prediction_is_the_models_and_leaves_one_fact(caller: Caller, support: Reference) -> None:
    adapter = publish(caller.scope, "support", support)
    response = caller.classify("support", TEXTS)
    assert response.status_code == 200
    body = response.get_json()
    expected = support.scores(TEXTS)
    for result, row in zip(body["results"], expected, strict=True):
        by_label = {entry["label"]: entry["score"] for entry in result["scores"]}
        assert torch.allclose(torch.tensor([by_label[label] for label in support.labels]), row, atol=1e-5)
        assert result["label"] == support.labels[int(row.argmax())]
        assert result["score"] == result["scores"][0]["score"]
        assert [entry["score"] for entry in result["scores"]] == sorted(by_label.values(), reverse=True)
    tokens = [len(ids) for ids in support.tokenizer(TEXTS)["input_ids"]]
    assert [result["tokens"] for result in body["results"]] == tokens
    assert body["usage"] == {"inputs": 2, "tokens": sum(tokens)}
    assert (body["model"], body["version"]) == ("support", 1)
    assert body["request_id"] == response.headers["X-Request-Id"]

    (fact,) = caller.facts()
    assert fact.request_id == body["request_id"]
    assert (fact.kind, fact.source) == (UsageKind.PREDICTION, UsageSource.API)
    assert (fact.quantity, fact.inputs) == (sum(tokens), 2)
    assert (fact.model_id, fact.adapter_id, fact.api_key_id) == (adapter.model_id, adapter.id, caller.key_id)


def test_one_text_may_come_without_a_list(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    alone = caller.classify("support", TEXTS[0]).get_json()
    listed = caller.classify("support", [TEXTS[0]]).get_json()
    assert alone["results"] == listed["results"]


def test_a_repeated_client_id_does_not_make_two_requests_one(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    headers = {**caller.headers, "X-Request-Id": "mine-1"}
    body = {"model": "support", "input": TEXTS}
    responses = [caller.client.post("/v1/classify", json=body, headers=headers) for _ in range(2)]
    assert [response.headers["X-Client-Request-Id"] for response in responses] == ["mine-1", "mine-1"]
    assert len({fact.request_id for fact in caller.facts()}) == 2


def test_promoting_another_version_changes_the_answer_at_once(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    assert caller.classify("support", TEXTS).get_json()["version"] == 1
    publish(caller.scope, "support", Reference(["yes", "no"], seed=12))
    body = caller.classify("support", TEXTS).get_json()
    assert body["version"] == 2
    assert {entry["label"] for entry in body["results"][0]["scores"]} == {"yes", "no"}


def test_a_fully_fine_tuned_model_is_served_too(caller: Caller) -> None:
    reference = Reference(["a", "b"], seed=13, method="full")
    publish(caller.scope, "full", reference)
    result = caller.classify("full", TEXTS[0]).get_json()["results"][0]
    assert abs(result["score"] - float(reference.scores(TEXTS[:1]).max())) < 1e-5


def test_personal_data_is_replaced_before_the_model_reads_it(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    written = caller.classify("support", "Write to jane.roe@example.com please").get_json()["results"][0]
    replaced = support.scores(["Write to [EMAIL_ADDRESS] please"])
    assert abs(written["score"] - float(replaced.max())) < 1e-5


def test_a_pool_that_was_restarted_is_given_the_adapter_again(
    caller: Caller, support: Reference, shared_pool: PoolProcess
) -> None:
    publish(caller.scope, "support", support)
    before = caller.classify("support", TEXTS).get_json()["results"]
    shared_pool.restart()
    assert caller.classify("support", TEXTS).get_json()["results"] == before
    assert len(caller.facts()) == 2


def test_without_a_pool_the_answer_says_to_come_back_and_nothing_is_billed(
    caller: Caller, support: Reference, shared_pool: PoolProcess
) -> None:
    publish(caller.scope, "support", support)
    shared_pool.kill()
    try:
        response = caller.classify("support", TEXTS)
        assert response.status_code == 503
        assert error_of(response)["type"] == "overloaded_error"
        assert int(response.headers["Retry-After"]) > 0
        assert caller.facts() == []
    finally:
        shared_pool.restart()


def test_the_pool_is_asked_for_its_state_by_the_operators_pages(caller: Caller, support: Reference) -> None:
    adapter = publish(caller.scope, "support", support)
    caller.classify("support", TEXTS)
    resident = [(entry["tenant"], entry["adapter"]) for entry in pool_client().state()["adapters"]]
    assert (str(caller.scope.tenant_id), adapter.digest) in resident


def test_another_tenants_model_looks_like_none(
    caller: Caller, other_caller: Caller, support: Reference
) -> None:
    publish(other_caller.scope, "theirs", support)
    answers = [caller.classify(name, TEXTS) for name in ("theirs", "absent")]
    assert [answer.status_code for answer in answers] == [404, 404]
    theirs, absent = (error_of(answer) for answer in answers)
    for error in (theirs, absent):
        del error["request_id"]
    assert theirs == json.loads(json.dumps(absent).replace("absent", "theirs"))
    assert caller.facts() == []


def test_a_name_that_no_model_can_have_is_no_models(caller: Caller) -> None:
    response = caller.classify("sup\0port", TEXTS)
    assert response.status_code == 404
    assert error_of(response)["code"] == "model_not_found"


def test_a_model_that_was_never_trained_says_so(caller: Caller) -> None:
    with tenant_session(caller.scope) as session:
        session.add(Model(tenant_id=caller.scope.tenant_id, name="new", base_model=BASE.id))
        session.commit()
    response = caller.classify("new", TEXTS)
    assert response.status_code == 400
    assert error_of(response)["code"] == "model_not_ready"
    assert caller.facts() == []


def test_broken_weights_are_an_error_and_not_a_bill(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "broken", support, support.file({"head.bias": torch.full((3,), float("nan"))}))
    publish(caller.scope, "nonsense", support, b"not an adapter")
    for name in ("broken", "nonsense"):
        response = caller.classify(name, TEXTS)
        assert response.status_code == 500
        assert error_of(response)["code"] == "model_broken"
    assert caller.facts() == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "a"}, "model"),
        ({"model": "support"}, "input"),
        ({"model": 5, "input": "a"}, "model"),
        ({"model": "", "input": "a"}, "model"),
        ({"model": "support", "input": None}, "input"),
        ({"model": "support", "input": ["a", 5]}, "input"),
        ({"model": "support", "input": {"a": "b"}}, "input"),
        ({"model": "support", "input": "a", "truncate": "yes"}, "truncate"),
        ({"model": "support", "input": "a", "temperature": 1}, "temperature"),
        ({"model": "support", "input": []}, "input"),
        ({"model": "support", "input": ""}, "input[0]"),
        ({"model": "support", "input": ["a", " \n\t"]}, "input[1]"),
        ({"model": "support", "input": ["a"] * 257}, "input"),
        ({"model": "support", "input": ["a", "é" * 16385]}, "input[1]"),
        ({"model": "support", "input": ["a" * 32_768] * 17}, "input"),
        ({"model": "support", "input": ["a", "word " * 300]}, "input[1]"),
        ([], None),
    ],
)
def test_a_wrong_body_is_refused_with_the_field_at_fault(
    caller: Caller, support: Reference, body: object, param: str | None
) -> None:
    publish(caller.scope, "support", support)
    response = caller.post(body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert caller.facts() == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"model": "m", "input": "\\ud800"}', b"\xff\xfe", b"[" * 10_000]
)
def test_what_is_not_json_is_refused(caller: Caller, body: bytes) -> None:
    response = caller.client.post("/v1/classify", data=body, headers=caller.headers)
    assert response.status_code == 400
    assert error_of(response)["code"] == "invalid_body"


def test_a_body_over_4_mb_is_refused(caller: Caller) -> None:
    response = caller.client.post("/v1/classify", data=b" " * ((4 << 20) + 1), headers=caller.headers)
    assert response.status_code == 413
    assert error_of(response)["type"] == "invalid_request_error"


def test_a_long_text_is_cut_when_asked(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    result = caller.classify("support", "word " * 300, truncate=True).get_json()["results"][0]
    assert (result["truncated"], result["tokens"]) == (True, 256)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        ("Basic abc", "invalid_api_key"),
        ("Bearer", "invalid_api_key"),
        ("Bearer nonsense", "invalid_api_key"),
        pytest.param(f"Bearer {api_keys.generate()}", "invalid_api_key", id="a key that nobody has"),
    ],
)
def test_without_a_good_key_nothing_is_answered(api: Flask, header: str | None, code: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in (("POST", "/v1/classify"), ("GET", "/v1/models")):
        response = api.test_client().open(path, method=method, headers=headers)
        assert response.status_code == 401
        assert error_of(response) | {"message": ""} | {"request_id": ""} == {
            "type": "authentication_error", "code": code, "message": "", "param": None, "request_id": "",
        }  # fmt: skip
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_key_stops_at_once(caller: Caller) -> None:
    assert caller.get("/v1/models").status_code == 200
    with tenant_session(caller.scope) as session:
        api_keys.revoke(session, caller.scope, session.get_one(ApiKey, caller.key_id))
        session.commit()
    response = caller.get("/v1/models")
    assert response.status_code == 401
    assert "revoked" in str(error_of(response)["message"])


def test_a_suspended_tenant_is_told_so(caller: Caller) -> None:
    with operator_session("test") as session:
        session.execute(
            update(Tenant).where(Tenant.id == caller.scope.tenant_id).values(status=TenantStatus.SUSPENDED)
        )
        session.commit()
    response = caller.get("/v1/models")
    assert response.status_code == 403
    assert error_of(response)["code"] == "tenant_suspended"


def test_a_keys_last_use_is_noted_at_most_once_a_minute(caller: Caller) -> None:
    def last_used_at():
        with tenant_session(caller.scope) as session:
            return session.get_one(ApiKey, caller.key_id).last_used_at

    caller.get("/v1/models")
    first = last_used_at()
    assert now() - first < timedelta(minutes=1)
    caller.get("/v1/models")
    assert last_used_at() == first


def test_models_are_listed_by_name_and_only_ones_own(
    caller: Caller, other_caller: Caller, support: Reference
) -> None:
    publish(caller.scope, "support", support)
    publish(other_caller.scope, "theirs", support)
    with tenant_session(caller.scope) as session:
        session.add(Model(tenant_id=caller.scope.tenant_id, name="new", base_model=BASE.id))
        session.commit()
    body = caller.get("/v1/models").get_json()
    own = [entry for entry in body["data"] if entry["owned_by"] != "adaptary"]
    assert [(entry["id"], entry["ready"], entry["version"]) for entry in own] == [
        ("new", False, None),
        ("support", True, 1),
    ]
    assert own[1]["labels"] == support.labels
    assert body["has_more"] is False


def test_a_key_that_asks_too_often_is_told_when_to_come_back(caller: Caller) -> None:
    statuses = {caller.get("/v1/models").status_code for _ in range(600)}
    assert statuses == {200}
    response = caller.get("/v1/models")
    assert response.status_code == 429
    assert error_of(response)["type"] == "rate_limit_error"
    assert 1 <= int(response.headers["Retry-After"]) <= 60


def test_unknown_paths_and_methods_are_json_too(caller: Caller) -> None:
    assert error_of(caller.get("/v1/nothing"))["type"] == "not_found_error"
    response = caller.get("/v1/classify")
    assert response.status_code == 405
    assert error_of(response)["type"] == "invalid_request_error"


def test_a_ledger_that_does_not_take_the_fact_means_no_answer(
    caller: Caller, support: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(caller.scope, "support", support)
    # The ledger has this request already, with other tokens: it refuses to count it again.
    monkeypatch.setattr("inference.gateway.request_id.new_request_id", lambda: "req_twice")
    assert caller.classify("support", TEXTS).status_code == 200
    response = caller.classify("support", TEXTS[0])
    assert response.status_code == 500
    assert error_of(response)["type"] == "server_error"
    assert len(caller.facts()) == 1


def test_the_health_check_needs_no_key(api: Flask) -> None:
    assert api.test_client().get("/healthz").get_json() == {"status": "ok"}


def test_a_view_that_does_not_say_who_may_use_it_stops_the_start() -> None:
    from inference.gateway.access import require_stated_access

    app = Flask("silent", static_folder=None)
    app.add_url_rule("/", "silent", lambda: "")
    with pytest.raises(RuntimeError, match="silent"):
        require_stated_access(app)


def test_no_torch_in_the_gateway() -> None:
    import subprocess
    import sys

    code = "import sys, inference.gateway.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
