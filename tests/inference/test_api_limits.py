"""Limits on requests and tokens a minute, exact over several processes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from openai import OpenAI
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import update

from core import api_keys
from core.api_keys import KeyLimits
from core.db import operator_session, tenant_session
from core.models.billing import Plan
from inference.gateway.rates import WINDOW_SECONDS, Rate, Rates
from tests.inference.adapter_files import Reference
from tests.inference.api_process import ApiProcess
from tests.inference.conftest import Caller, publish

TEXT = "Where is my order?"


def limited_key(caller: Caller, limits: KeyLimits) -> str:
    with tenant_session(caller.scope) as session:
        _, plain = api_keys.create(session, caller.scope, "limited", limits=limits)
        session.commit()
    return plain


def classify(caller: Caller, key: str, texts: object = TEXT):
    headers = {"Authorization": f"Bearer {key}"}
    return caller.client.post("/v1/classify", json={"model": "support", "input": texts}, headers=headers)


def test_two_processes_let_through_exactly_what_a_key_may(api_server: ApiProcess, caller: Caller) -> None:
    limit, asked = 20, 60
    headers = {"Authorization": f"Bearer {limited_key(caller, KeyLimits(requests_per_minute=limit))}"}

    def ask(_number: int) -> int:
        # Each by a connection of its own, so that both processes get some.
        return httpx.get(f"{api_server.url}/v1/models", headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = Counter(threads.map(ask, range(asked)))
    assert statuses == {200: limit, 429: asked - limit}


def test_openais_client_is_told_what_is_left_and_when_to_come_back(
    api_server: ApiProcess, caller: Caller
) -> None:
    key = limited_key(caller, KeyLimits(requests_per_minute=2))
    with OpenAI(base_url=f"{api_server.url}/v1", api_key=key, max_retries=0) as client:
        left = [
            client.models.with_raw_response.list().headers["x-ratelimit-remaining-requests"] for _ in range(2)
        ]
        with pytest.raises(openai.RateLimitError) as refused:
            client.models.list()
    assert left == ["1", "0"]
    headers = refused.value.response.headers
    assert refused.value.code == "rate_limit_exceeded"
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("2", "0")
    assert 1 <= int(headers["Retry-After"]) <= WINDOW_SECONDS + 1


def test_tokens_are_counted_as_used_and_not_as_expected(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    limit = 1000
    answer = classify(caller, limited_key(caller, KeyLimits(tokens_per_minute=limit)), [TEXT] * 3)
    used = answer.get_json()["usage"]["tokens"]
    assert answer.headers["x-ratelimit-limit-tokens"] == str(limit)
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(limit - used)


def test_a_request_that_failed_gives_its_tokens_back(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    key = limited_key(caller, KeyLimits(tokens_per_minute=1000))
    assert classify(caller, key, ["word " * 300]).status_code == 400
    answer = classify(caller, key)
    used = answer.get_json()["usage"]["tokens"]
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(1000 - used)


def test_more_tokens_than_are_left_are_refused_and_bill_nothing(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    key = limited_key(caller, KeyLimits(tokens_per_minute=30))
    refused = classify(caller, key, [TEXT] * 10)
    error = refused.get_json()["error"]
    assert (refused.status_code, error["code"], error["type"]) == (
        429,
        "rate_limit_exceeded",
        "rate_limit_error",
    )
    assert "send less at once" in error["message"]
    assert refused.headers["Retry-After"] == str(WINDOW_SECONDS)
    assert caller.facts() == []
    assert classify(caller, key).status_code == 200


def test_a_plans_limit_holds_for_all_keys_of_a_tenant_and_for_no_other(
    caller: Caller, other_caller: Caller
) -> None:
    with operator_session("test") as session:
        session.execute(update(Plan).where(Plan.code == "trial").values(requests_per_minute=3))
        session.commit()
    try:
        keys = [caller.key, limited_key(caller, KeyLimits())]
        headers = [{"Authorization": f"Bearer {keys[number % 2]}"} for number in range(4)]
        answers = [caller.client.get("/v1/models", headers=one) for one in headers]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert "your plan allows 3 requests a minute" in answers[-1].get_json()["error"]["message"]
        assert other_caller.get("/v1/models").status_code == 200
    finally:
        with operator_session("test") as session:
            session.execute(update(Plan).where(Plan.code == "trial").values(requests_per_minute=600))
            session.commit()


def test_a_use_counts_for_a_minute_and_then_no_more(redis: Redis) -> None:
    rates, rate = Rates(redis), Rate("requests:key:1", 10)
    at = rates.take([rate], 4).at
    redis.hset("rates:requests:key:1", mapping={str(at - WINDOW_SECONDS - 5): 9, str(at - 30): 5})
    refused = rates.take([rate], 2)
    assert (refused.fits, refused.remaining) == (False, 1)
    assert 28 <= refused.wait_seconds <= 31  # when what was used 30 seconds ago leaves the window
    taken = rates.take([rate], 1)
    assert (taken.fits, taken.remaining) == (True, 0)
    assert taken.reset_seconds == WINDOW_SECONDS + 1
    assert redis.ttl("rates:requests:key:1") > 0


def test_what_does_not_fit_into_one_rate_is_taken_from_none(redis: Redis) -> None:
    rates, wide, narrow = Rates(redis), Rate("tokens:tenant:1", 100), Rate("tokens:key:1", 10)
    assert not rates.take([wide, narrow], 11).fits
    assert rates.take([wide], 1).remaining == 99


def test_without_redis_each_process_counts_for_itself() -> None:
    nowhere = Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    rates, rate = Rates(nowhere), Rate("requests:key:1", 2)
    taken = [rates.take([rate], 1) for _ in range(3)]
    assert [one.fits for one in taken] == [True, True, False]
    rates.settle(taken[0], 0)
    assert rates.take([rate], 1).fits
    assert taken[0].in_memory
