"""A repeated request is answered from its record, and billed once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from core.clock import now
from core.db import tenant_session
from core.models.kept_answers import KeptAnswer
from inference.gateway import kept_answers
from inference.gateway.kept_answers import CLAIMED, KEPT, Claim, ClaimLost
from portal.periodic import delete_kept_answers
from tests.inference.adapter_files import Reference
from tests.inference.conftest import Caller, publish

BODY = {"model": "support", "input": ["Where is my order?"]}


@pytest.fixture(autouse=True)
def model(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)


def ask(caller: Caller, key: str = "order-1", body: object = BODY, path: str = "/v1/classify"):
    return caller.client.post(path, json=body, headers={**caller.headers, "Idempotency-Key": key})


def rows(caller: Caller) -> list[KeptAnswer]:
    with tenant_session(caller.scope) as session:
        return list(session.scalars(select(KeptAnswer)))


def change_row(caller: Caller, **values: object) -> None:
    with tenant_session(caller.scope) as session:
        session.execute(update(KeptAnswer).values(**values))
        session.commit()


def test_the_same_request_again_has_the_same_answer_and_one_fact(caller: Caller) -> None:
    first, second = ask(caller), ask(caller)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.get_data() == first.get_data()
    assert second.headers["X-Request-Id"] == first.headers["X-Request-Id"] == first.get_json()["request_id"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert [fact.request_id for fact in caller.facts()] == [first.get_json()["request_id"]]


def test_another_request_with_the_same_key_is_refused(caller: Caller) -> None:
    ask(caller)
    others = (
        ask(caller, body={**BODY, "truncate": True}),
        ask(caller, body={"model": "all-minilm-l6-v2", "input": "a"}, path="/v1/embeddings"),
    )
    for other in others:
        assert (other.status_code, other.get_json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(caller.facts()) == 1


def test_a_request_that_failed_may_come_again_with_its_key(caller: Caller) -> None:
    body = {"model": "later", "input": ["a"]}
    assert ask(caller, body=body).status_code == 404
    assert rows(caller) == []
    publish(caller.scope, "later", Reference(["a", "b"], seed=1))
    assert ask(caller, body=body).status_code == 200


def test_a_request_that_is_being_answered_is_to_be_asked_again(caller: Caller) -> None:
    ask(caller)
    change_row(caller, sealed_answer=None, media_type=None)
    response = ask(caller)
    assert (response.status_code, response.get_json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert response.headers["Retry-After"] == "1"
    change_row(caller, claimed_until=now() - timedelta(seconds=1))  # whoever was at it has died
    assert ask(caller).status_code == 200


def test_who_lost_its_place_to_a_later_request_bills_nothing(caller: Caller) -> None:
    held = kept_answers.claim(caller.scope, b"key", b"body", "req_first")
    assert isinstance(held, Claim)
    change_row(caller, claimed_until=now() - CLAIMED)
    assert isinstance(kept_answers.claim(caller.scope, b"key", b"body", "req_second"), Claim)
    with tenant_session(caller.scope) as session, pytest.raises(ClaimLost):
        kept_answers.keep(session, held, "application/json", b"{}")
    kept_answers.release(held)
    assert [row.request_id for row in rows(caller)] == ["req_second"]


def test_requests_at_once_with_one_key_are_billed_once(api: Flask, caller: Caller) -> None:
    def repeat(_number: int) -> bytes:
        while True:
            response = api.test_client().post(
                "/v1/classify", json=BODY, headers={**caller.headers, "Idempotency-Key": "at-once"}
            )
            if response.status_code != 409:
                assert response.status_code == 200
                return response.get_data()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(repeat, range(8)))) == 1
    assert len(caller.facts()) == 1


def test_the_answer_is_kept_sealed_and_no_other_tenants_key_finds_it(
    caller: Caller, other_caller: Caller, support: Reference
) -> None:
    publish(other_caller.scope, "support", support)
    first = ask(caller).get_json()
    (row,) = rows(caller)
    assert row.sealed_answer is not None
    assert first["request_id"].encode() not in row.sealed_answer
    assert b"delivery" not in row.sealed_answer
    assert ask(other_caller).get_json()["request_id"] != first["request_id"]


def test_after_a_day_the_answer_is_forgotten(caller: Caller) -> None:
    ask(caller, "old")
    change_row(caller, expires_at=now() - timedelta(seconds=1))
    assert ask(caller, "old", {**BODY, "truncate": True}).status_code == 200  # even before the clock comes by
    change_row(caller, expires_at=now() - timedelta(seconds=1))
    ask(caller, "new")
    delete_kept_answers()
    (row,) = rows(caller)
    assert row.expires_at - now() > KEPT - timedelta(minutes=1)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(caller: Caller, key: str) -> None:
    response = ask(caller, key)
    assert (response.status_code, response.get_json()["error"]["code"]) == (400, "invalid_idempotency_key")
