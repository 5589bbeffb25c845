"""The playground answers as the API does, shows what was replaced, and is metered as what it is."""

import html
import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.catalogue import Task
from core.config import get_settings
from core.models.usage import UsageKind, UsageSource
from inference.gateway import chat
from inference.gateway.pool_client import PoolClient
from inference.gateway.prediction import Replacement
from portal.highlights import Piece, find_all
from portal.readings import read, wrote
from portal.snippets import curl_call
from tests.inference.adapter_files import Reference
from tests.inference.chat_files import ChatReference
from tests.inference.conftest import PASSWORD, Caller, publish
from tests.inference.pool_process import PoolProcess


@pytest.fixture(scope="module")
def portal(shared_pool: PoolProcess) -> Flask:
    from portal.app import create_portal

    app = create_portal()
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False, RATELIMIT_ENABLED=False)
    return app


@pytest.fixture
def browser(portal: Flask, caller: Caller) -> FlaskClient:
    """The admin of `caller`'s tenant, signed in."""
    client = portal.test_client()
    assert client.post("/login", data={"email": caller.email, "password": PASSWORD}).status_code == 303
    return client


def test_without_a_model_the_page_says_what_to_do(browser: FlaskClient) -> None:
    page = browser.get("/playground").get_data(as_text=True)
    assert "/fine-tunes/new" in page
    assert "<textarea" not in page


def test_a_text_is_answered_with_scores_and_leaves_one_fact(
    browser: FlaskClient, caller: Caller, support: Reference
) -> None:
    publish(caller.scope, "support", support)
    text = "Where is my order? Write to jane.roe@example.com"
    response = browser.post("/playground", data={"model": "support", "text": text})
    page = response.get_data(as_text=True)
    assert response.status_code == 200
    expected = caller.classify("support", text).get_json()
    for entry in expected["results"][0]["scores"]:
        assert entry["label"] in page
        assert f"{entry['score'] * 100:.1f} %" in page
    assert marks(page) == ["jane.roe@example.com", "[EMAIL_ADDRESS]"]
    assert "curl " in page
    assert "$ADAPTARY_API_KEY" in page
    facts = caller.facts()
    assert [(fact.source, fact.api_key_id) for fact in facts] == [
        (UsageSource.PLAYGROUND, None),
        (UsageSource.API, caller.key_id),
    ]
    assert facts[0].quantity == facts[1].quantity


def marks(page: str) -> list[str]:
    """What is marked as personal data, in the page's order."""
    return re.findall(r'<mark class="entity"[^>]*>([^<]*)</mark>', html.unescape(page))


def test_a_part_of_the_page_comes_for_htmx(browser: FlaskClient, caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    data = {"model": "support", "text": "Where is my order?"}
    page = browser.post("/playground", data=data, headers={"HX-Request": "true"}).get_data(as_text=True)
    assert "delivery" in page
    assert "<html" not in page


def test_entities_are_marked_where_the_text_has_them(browser: FlaskClient, caller: Caller) -> None:
    publish(caller.scope, "tagger", Reference(["O", "B-ITEM", "I-ITEM"], seed=3, task=Task.TAGGING))
    text = "Two desk lamps for jane.roe@example.com"
    page = browser.post("/playground", data={"model": "tagger", "text": text}).get_data(as_text=True)
    said = caller.post({"model": "tagger", "input": text}, "/v1/tag").get_json()
    for entity in said["results"][0]["entities"]:
        assert f">{text[entity['start'] : entity['end']]}<small>{entity['label']}</small>" in page
        assert f"{entity['start']}–{entity['end']}" in page
    assert "/v1/tag" in page


def test_several_labels_are_marked_as_chosen(browser: FlaskClient, caller: Caller) -> None:
    publish(caller.scope, "topics", Reference(["late", "broken", "rude"], seed=5, task=Task.MULTI_LABEL))
    page = browser.post("/playground", data={"model": "topics", "text": "Where is it?"})
    said = caller.classify("topics", "Where is it?").get_json()
    chosen = [one for one in said["results"][0]["scores"] if one["score"] >= 0.5]
    assert page.get_data(as_text=True).count(">chosen</span>") == len(chosen)


@pytest.fixture
def chats(whole_pool: PoolProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal asks a pool that chats."""
    monkeypatch.setattr(
        chat, "pool_client", lambda: PoolClient(whole_pool.url, get_settings().pool_ticket_key)
    )


def said_in(page: str) -> list[dict[str, str]]:
    """What the page's form holds of the conversation."""
    said = html.unescape(page.partition('name="said" type="hidden" value="')[2].partition('"')[0])
    return list(json.loads(said))


def test_a_conversation_goes_on_and_each_answer_leaves_what_was_read_and_written(
    browser: FlaskClient, caller: Caller, chats: None
) -> None:
    publish(caller.scope, "faq", ChatReference(seed=5))
    data = {"model": "faq", "text": "Hello?", "temperature": "0", "max_tokens": "4"}
    said = said_in(browser.post("/playground/chat", data=data).get_data(as_text=True))
    assert [one["role"] for one in said] == ["user", "assistant"]
    again = browser.post("/playground/chat", data={**data, "said": json.dumps(said), "text": "And then?"})
    assert again.get_data(as_text=True).count('<li data-role="assistant">') == 2
    facts = [(fact.kind, fact.source) for fact in caller.facts()]
    assert facts == 2 * [
        (UsageKind.CHAT_INPUT, UsageSource.PLAYGROUND),
        (UsageKind.CHAT_OUTPUT, UsageSource.PLAYGROUND),
    ]


def test_a_stream_says_and_costs_what_the_whole_answer_does(
    browser: FlaskClient, caller: Caller, chats: None
) -> None:
    publish(caller.scope, "faq", ChatReference(seed=5))
    text = "Who is jane.roe@example.com?"
    data = {"model": "faq", "text": text, "temperature": "0", "max_tokens": "4"}
    whole = said_in(browser.post("/playground/chat", data=data).get_data(as_text=True))
    stream = browser.post("/playground/chat/stream", data=data).get_data(as_text=True)
    events = [
        (kind.removeprefix("event: "), json.loads(told.removeprefix("data: ")))
        for kind, told in (event.split("\n") for event in stream.strip().split("\n\n"))
    ]
    (begun, part), *pieces, (marked, answer), (ended, took) = events
    assert (begun, marked, ended) == ("begun", "marked", "ended")
    assert marks(part) == ["jane.roe@example.com", "[EMAIL_ADDRESS_1]"]
    assert html.unescape(re.sub("<[^>]*>", "", answer)) == whole[-1]["content"]
    assert said_in(part) == [{"role": "user", "content": text}, {"role": "assistant", "content": ""}]
    assert "".join(piece for _, piece in pieces) == whole[-1]["content"]
    read, written = [fact.quantity for fact in caller.facts()[2:]]
    assert took.startswith(f"{read} tokens read, {written} written")
    assert [fact.quantity for fact in caller.facts()[:2]] == [read, written]


def test_a_conversation_shows_what_the_model_read_of_it(
    browser: FlaskClient, caller: Caller, chats: None
) -> None:
    publish(caller.scope, "faq", ChatReference(seed=5))
    data = {
        "model": "faq",
        "text": "I am at jane.roe@example.com",
        "system": "Be kind to al@example.com",
        "temperature": "0",
        "max_tokens": "4",
    }
    page = browser.post("/playground/chat", data=data).get_data(as_text=True)
    assert marks(page) == [
        "jane.roe@example.com",
        "[EMAIL_ADDRESS_2]",
        "[EMAIL_ADDRESS_1]",
        "[EMAIL_ADDRESS_2]",
    ]


def test_values_that_came_back_are_found_in_an_answer_whole_and_the_longest_first() -> None:
    kinds = {"Ada": "PERSON", "Ada Roe": "PERSON", "1.2": "US_SSN"}
    assert find_all("Adam asks Ada Roe, Ada and 1x2", kinds) == [
        Piece("Adam asks "),
        Piece("Ada Roe", "PERSON"),
        Piece(", "),
        Piece("Ada", "PERSON"),
        Piece(" and 1x2"),
    ]
    assert find_all("Ada", {}) == [Piece("Ada")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"model": "support", "text": "  "}, "Enter a text."),
        ({"model": "support", "text": "word " * 300}, "302 tokens"),
        ({"model": "absent", "text": "a"}, "Not a valid choice"),
    ],
)
def test_what_is_wrong_stands_on_the_page_and_costs_nothing(
    browser: FlaskClient, caller: Caller, support: Reference, data: dict[str, str], message: str
) -> None:
    publish(caller.scope, "support", support)
    response = browser.post("/playground", data=data)
    assert response.status_code == 422
    assert message in response.get_data(as_text=True)
    assert caller.facts() == []


def test_a_text_is_shown_beside_what_the_model_read_of_it() -> None:
    replacements = (Replacement(3, 6, "PERSON", "[PERSON]", 3), Replacement(12, 16, "US_SSN", "…", 17))
    assert wrote("to Ada with 1234", replacements) == [
        Piece("to "),
        Piece("Ada", "PERSON"),
        Piece(" with "),
        Piece("1234", "US_SSN"),
    ]
    assert read("to [PERSON] with …", replacements) == [
        Piece("to "),
        Piece("[PERSON]", "PERSON"),
        Piece(" with "),
        Piece("…", "US_SSN"),
    ]


def test_the_curl_command_is_safe_to_paste() -> None:
    command = curl_call("support", 'it\'s $(rm -rf ~) `x` "y"')
    body = command.splitlines()[-1]
    assert body.startswith("  -d '")
    assert "'\"'\"'" in body
