"""Tags, several labels, vectors and tables over the API, with a real pool."""

import base64
import csv
import io
import struct
from typing import Any

import pytest
import torch

from core.catalogue import DEFAULT_BASE_MODEL, DEFAULT_CHAT_MODEL, Task
from core.models.usage import UsageKind
from core.privacy.entities import DEFAULT_POLICY
from inference.gateway.prediction import CHOSEN_FROM
from tests.inference.adapter_files import Reference
from tests.inference.conftest import Caller, publish

TEXTS = ["Where is my order?", "I want my money back"]
LETTER = "Write to jane.roe@example.com: [PERSON_ABCDEFGH] met Ada in Paris"


@pytest.fixture(scope="module")
def tagger() -> Reference:
    return Reference(["O", "B-X", "I-X"], seed=3, task=Task.TAGGING)


@pytest.fixture(scope="module")
def topics() -> Reference:
    return Reference(["delivery", "other", "refund"], seed=2, task=Task.MULTI_LABEL)


def test_a_model_of_several_labels_says_which_it_chose(caller: Caller, topics: Reference) -> None:
    publish(caller.scope, "topics", topics)
    results = caller.classify("topics", TEXTS).get_json()["results"]
    for result, scores in zip(results, topics.scores(TEXTS), strict=True):
        expected = {label: float(score) for label, score in zip(topics.labels, scores, strict=True)}
        assert {one["label"]: one["score"] for one in result["scores"]} == pytest.approx(expected, abs=1e-5)
        assert set(result["labels"]) == {label for label in expected if expected[label] >= CHOSEN_FROM}


def test_tags_are_where_the_text_has_them_as_it_was_sent(caller: Caller, tagger: Reference) -> None:
    publish(caller.scope, "tagger", tagger)
    answer = caller.post({"model": "tagger", "input": [LETTER, "refund"]}, "/v1/tag").get_json()
    entities = answer["results"][0]["entities"]
    assert entities
    for entity in entities:
        assert entity["text"] == LETTER[entity["start"] : entity["end"]]
    address = LETTER.index("jane"), LETTER.index(":")
    for entity in entities:  # what was replaced is in an entity whole or not at all
        start, end = max(entity["start"], address[0]), min(entity["end"], address[1])
        assert start >= end or (start, end) == address
    (fact,) = caller.facts()
    assert (fact.kind, fact.inputs, fact.quantity) == (UsageKind.PREDICTION, 2, answer["usage"]["tokens"])


@pytest.mark.parametrize(
    ("path", "model", "use"),
    [
        ("/v1/classify", "tagger", "POST /v1/tag"),
        ("/v1/tag", "support", "POST /v1/classify"),
        ("/v1/embeddings", DEFAULT_CHAT_MODEL, DEFAULT_BASE_MODEL),
    ],
)
def test_a_model_for_another_task_is_refused_with_where_to_ask(
    caller: Caller, support: Reference, tagger: Reference, path: str, model: str, use: str
) -> None:
    publish(caller.scope, "support", support)
    publish(caller.scope, "tagger", tagger)
    response = caller.post({"model": model, "input": "a"}, path)
    error = response.get_json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "wrong_task", "model")
    assert use in error["message"]


def test_vectors_are_the_bases_and_of_length_1(caller: Caller) -> None:
    body = {"model": DEFAULT_BASE_MODEL, "input": TEXTS}
    answer = caller.post(body, "/v1/embeddings").get_json()
    expected = torch.nn.functional.normalize(Reference(["a"], method="none").pooled(TEXTS))
    assert torch.allclose(torch.tensor([one["embedding"] for one in answer["data"]]), expected, atol=1e-5)
    in_base64 = caller.post({**body, "encoding_format": "base64"}, "/v1/embeddings").get_json()
    raw = base64.b64decode(in_base64["data"][1]["embedding"])
    assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(answer["data"][1]["embedding"])
    facts = caller.facts()
    assert [(fact.quantity, fact.model_id) for fact in facts] == [(answer["usage"]["total_tokens"], None)] * 2


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [1, 2, 3]}, "input"),
        ({"input": [[1, 2], [3]]}, "input"),
        ({"dimensions": 64}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"model": "nothing"}, "model"),
        ({"input": ["word " * 300]}, "input[0]"),
    ],
)
def test_what_vectors_cannot_be_made_of_is_named(caller: Caller, fields: dict[str, Any], param: str) -> None:
    response = caller.post({"model": DEFAULT_BASE_MODEL, "input": "a", **fields}, "/v1/embeddings")
    assert response.status_code in (400, 404)
    assert response.get_json()["error"]["param"] == param
    assert caller.facts() == []


def table(caller: Caller, path: str, body: str | bytes, **headers: str):
    return caller.client.post(
        path, data=body, headers={**caller.headers, "Content-Type": "text/csv", **headers}
    )


def test_a_table_is_labelled_row_by_row(caller: Caller, support: Reference) -> None:
    publish(caller.scope, "support", support)
    sent = '\ufeffid,Text\r\n1,"Where is\nmy order?"\r\n2,I want my money back\r\n'
    response = table(caller, "/v1/classify?model=support", sent, Accept="text/csv")
    assert response.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.get_data(as_text=True))))
    expected = caller.classify("support", ["Where is\nmy order?", TEXTS[1]]).get_json()["results"]
    assert [(row["index"], row["label"], row["labels"]) for row in rows] == [
        (str(one["index"]), one["label"], one["label"]) for one in expected
    ]
    assert table(caller, "/v1/classify?model=support", sent).get_json()["results"] == expected


def test_a_table_of_entities_has_a_row_for_each(caller: Caller, tagger: Reference) -> None:
    publish(caller.scope, "tagger", tagger)
    response = table(caller, "/v1/tag?model=tagger", f"text\n{LETTER}\n", Accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(response.get_data(as_text=True))))
    (result,) = caller.post({"model": "tagger", "input": LETTER}, "/v1/tag").get_json()["results"]
    assert [(int(row["start"]), int(row["end"])) for row in rows] == [
        (one["start"], one["end"]) for one in result["entities"]
    ]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/classify?model=support", "", "does not name one column 'text'"),
        ("/v1/classify?model=support", "id,label\n1,a\n", "does not name one column 'text'"),
        ("/v1/classify?model=support", "id,text\n1\n", "Line 2 of the table has 1 columns"),
        ("/v1/classify?model=support", 'text\n"open\n', "is not CSV"),
        ("/v1/classify?model=support", b"text\n\xff\n", "is not UTF-8"),
        ("/v1/classify?model=support", "text\n", "Send 1 to 256 texts"),
        ("/v1/classify?model=support&truncate=perhaps", "text\na\n", "'truncate' is wrong"),
        ("/v1/classify", "text\na\n", "'model' is missing"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_the_reason(
    caller: Caller, support: Reference, path: str, body: str | bytes, message: str
) -> None:
    publish(caller.scope, "support", support)
    response = table(caller, path, body)
    assert response.status_code == 400
    assert message in response.get_json()["error"]["message"]
    assert caller.facts() == []


def test_personal_data_is_replaced_before_vectors_are_made(caller: Caller) -> None:
    assert "EMAIL_ADDRESS" in DEFAULT_POLICY.entities
    pair = ["Write to jane.roe@example.com", "Write to [EMAIL_ADDRESS]"]
    first, second = caller.post({"model": DEFAULT_BASE_MODEL, "input": pair}, "/v1/embeddings").get_json()[
        "data"
    ]
    assert first["embedding"] == pytest.approx(second["embedding"], abs=1e-6)
