"""Datasets of every task: recognised, checked and stored, with what is wrong in them named."""

import io
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.catalogue import Task
from core.db import tenant_session
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.tenancy import TenantScope, system_scope
from tests.datasets import accept, check, get, upload
from training.data import datasets
from training.data.columns import ColumnMapping, Split
from training.data.rows import ChatRow, Message, MultiLabelRow, TaggedRow
from training.data.sources import mapping_of


@pytest.fixture
def scope(make_tenant) -> TenantScope:
    return system_scope(make_tenant().id, "test")


def jsonl(rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def chat(question, answer, system=None):
    start = [{"role": "system", "content": system}] if system else []
    return {
        "messages": [*start, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    }


CHATS = [chat(f"How long is order {number} on its way?", f"About {number} days.") for number in range(40)]
TAGGED = [
    {"tokens": ["where", "is", f"#{number}", "with", "desk", "lamps"], "tags": ["O", "O", "B-ORDER", "O", "B-PRODUCT", "I-PRODUCT"]}
    for number in range(40)
]  # fmt: skip
SEVERAL = [
    {"text": f"The parcel of order {number} is late and broken", "labels": ["late", "broken"][: number % 3]}
    for number in range(40)
]


def task_of(scope, version_id) -> Task:
    with tenant_session(scope) as session:
        return mapping_of(session, session.get_one(DatasetVersion, version_id)).task


def ready(scope, data, filename="rows.jsonl"):
    version_id = upload(scope, data, filename=filename)
    checked = check(scope, version_id)
    assert checked.status is DatasetStatus.REVIEW, checked.error
    return accept(scope, version_id)


def rows_of(scope, version):
    with tenant_session(scope) as session:
        return list(datasets.iter_rows(session, version))


def codes(version) -> dict[str, list[int]]:
    return {
        one["code"]: [example["row"] for example in one["examples"]] for one in version.report["findings"]
    }


@pytest.mark.parametrize(
    ("write", "filename"), [(jsonl, "rows.jsonl"), (parquet, "rows.parquet")], ids=["jsonl", "parquet"]
)
@pytest.mark.parametrize(
    ("rows", "task", "labels", "first"),
    [
        (
            CHATS,
            Task.CHAT,
            [],
            lambda split: ChatRow(
                1,
                (Message("user", "How long is order 0 on its way?"), Message("assistant", "About 0 days.")),
                split,
            ),
        ),
        (
            TAGGED,
            Task.TAGGING,
            ["ORDER", "PRODUCT"],
            lambda split: TaggedRow(1, tuple(TAGGED[0]["tokens"]), tuple(TAGGED[0]["tags"]), split),
        ),
        (
            SEVERAL,
            Task.MULTI_LABEL,
            ["broken", "late"],
            lambda split: MultiLabelRow(1, str(SEVERAL[0]["text"]), (), split),
        ),
    ],
    ids=["chat", "tagging", "multi-label"],
)
def test_a_file_is_taken_for_its_task_and_becomes_rows_of_it(
    scope, write, filename, rows, task, labels, first
):
    version = ready(scope, write(rows), filename)
    assert version.status is DatasetStatus.READY, version.error
    stored = rows_of(scope, version)
    assert stored[0] == first(stored[0].split)
    assert (version.rows, version.labels) == (40, labels)
    with tenant_session(scope) as session:
        assert session.get_one(Dataset, version.dataset_id).task is task
    assert min(Counter(row.split for row in stored)[split] for split in Split) >= 3
    assert version.report["task"] == task


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": []}, "Row 41 has no message of the user"),
        ({"messages": "hello"}, "Row 41 has no list of messages"),
        ({"messages": [{"role": "user", "content": "?"}]}, "Row 41 does not end with a message of the assistant"),
        (chat("?", "!") | {"tools": [{"type": "function"}]}, "Row 41 offers tools"),
        ({"messages": [{"role": "robot", "content": "?"}]}, "Row 41, message 1 has a role"),
        ({"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": [{}]}]}, "message 2 calls a tool"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "message 1 holds something else than text"),
        ({"messages": ["?"]}, "message 1 is not an object"),
    ],
)  # fmt: skip
def test_a_conversation_that_cannot_be_learnt_from_is_named_with_the_fix(scope, row, message):
    version = check(scope, upload(scope, jsonl([*CHATS, row]), filename="rows.jsonl"))
    assert version.status is DatasetStatus.FAILED
    assert message in str(version.error)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "Row 41 has 2 tokens and 1 tags"),
        ({"tokens": ["a", "b"], "tags": ["O", "PER"]}, "Row 41, token 2: its tag is neither O nor"),
        ({"tokens": ["a", "b"], "tags": ["O", "E-PER"]}, "Row 41, token 2: its tag ends an entity"),
        ({"tokens": ["a", "b"], "tags": [0, 1]}, "Row 41 has something else than a text in place 1 of “tags”"),
    ],
)  # fmt: skip
def test_a_wrong_tag_is_named_by_its_row_and_token(scope, row, message):
    version = check(scope, upload(scope, jsonl([*TAGGED, row]), filename="rows.jsonl"))
    assert version.status is DatasetStatus.FAILED
    assert message in str(version.error)


def test_what_stands_out_among_conversations_is_found(scope):
    long = chat("word " * 3000, "Too long.")
    rows = [
        *CHATS,  # 1–40
        CHATS[0],  # 41
        chat("HOW LONG is order 1 on its way", "Ask someone else."),  # 42: row 2 answers otherwise
        chat("How long is order 2 on its way?", "Two days.", system="Be brief."),  # 43: told otherwise
        chat("Hello?", ""),  # 44
        chat(" ", "Hello."),  # 45
        long,  # 46
    ]
    version = check(scope, upload(scope, jsonl(rows), filename="rows.jsonl"))
    assert codes(version) == {
        "conflicting_labels": [2, 42],
        "empty_text": [45],
        "empty_label": [44],
        "duplicates": [41],
        "too_long": [46],
    }
    assert version.report is not None
    assert version.report["turns"]["max"] == 2
    assert version.report["tokens"]["model_reads"] == 2048


def test_conversations_with_the_same_prompt_are_in_one_split(scope):
    rows = [
        *CHATS,
        *(chat(f"Who is person{number}@example.com?", f"Person {number}.") for number in range(30)),
    ]
    stored = rows_of(scope, ready(scope, jsonl(rows)))
    assert len({row.split for row in stored if row.messages[0].content.startswith("Who is")}) == 1


def test_personal_data_is_replaced_in_every_message(scope):
    rows = [*CHATS, chat("I am ada@example.com", "Hello ada@example.com!", system="Serve ada@example.com")]
    version = ready(scope, jsonl(rows))
    last = rows_of(scope, version)[-1]
    assert all(message.content.count("[EMAIL_ADDRESS_") == 1 for message in last.messages)
    assert "ada@" not in repr((last, version.report))
    personal = version.report["personal_data"]
    assert (personal["rows_with"], personal["entities"][0]["findings"]) == (1, 3)


def test_personal_data_is_replaced_token_by_token_so_that_tags_stay_beside_their_tokens(scope):
    tokens = ["Call", "+49", "30", "901820", "or", "ada@example.com", ",", "please"]
    tags = ["O", "B-PHONE", "I-PHONE", "I-PHONE", "O", "B-MAIL", "O", "O"]
    last = rows_of(scope, ready(scope, jsonl([*TAGGED, {"tokens": tokens, "tags": tags}])))[-1]
    assert last.tags == tuple(tags)
    assert [token.split("_")[0] for token in last.tokens] == [
        "Call", "[PHONE", "[PHONE", "[PHONE", "or", "[EMAIL", ",", "please",
    ]  # fmt: skip
    assert len(set(last.tokens[1:4])) == 1


def test_a_table_of_questions_and_answers_is_a_chat(scope):
    data = b"question,answer\n" + b"".join(b"What is %d?,It is %d.\n" % (n, n) for n in range(30))
    stored = rows_of(scope, ready(scope, data, "faq.csv"))
    assert stored[3].messages == (Message("user", "What is 3?"), Message("assistant", "It is 3."))


def test_labels_in_one_field_are_separated_as_the_owner_says(scope):
    data = b"text,topic\n" + b"".join(b"Message %d,late / broken\n" % n for n in range(30))
    version_id = upload(scope, data, filename="rows.csv")
    with tenant_session(scope) as session:
        version = session.get_one(DatasetVersion, version_id)
        mapping = ColumnMapping("text", "topic", None, Task.MULTI_LABEL, "/")
        datasets.start_check(session, scope, version, mapping)
        session.commit()
    from training.data.tasks import check_dataset

    check_dataset(str(scope.tenant_id), str(version_id))
    report = get(scope, version_id).report
    assert report is not None
    assert {one["label"]: one["count"] for one in report["labels"]} == {"late": 30, "broken": 30}


def test_versions_of_a_dataset_are_for_one_task(scope):
    first = ready(scope, jsonl(CHATS))
    version_id = upload(scope, jsonl(TAGGED), filename="rows.jsonl")
    with tenant_session(scope) as session:
        version = session.get_one(DatasetVersion, version_id)
        version.dataset_id, version.number = first.dataset_id, 2
        session.flush()
        with pytest.raises(datasets.DatasetError, match="are for chat"):
            datasets.start_check(session, scope, version, mapping_of(session, version))


def test_lists_in_parquet_that_stand_for_more_than_fits_into_memory_are_refused(scope):
    for values, words in ((30_000_000, "more than 20,000,000 values"), (200_000, "more than 100,000 values")):
        many = pa.ListArray.from_arrays(pa.array([0, values], pa.int32()), pa.nulls(values, pa.string()))
        buffer = io.BytesIO()
        pq.write_table(pa.table({"tokens": many, "tags": many}), buffer, compression="zstd")
        version = check(scope, upload(scope, buffer.getvalue(), filename="rows.parquet"))
        assert words in str(version.error)

    one = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 1_000_000]))
    texts = pa.ListArray.from_arrays(pa.array([0, 20_000], pa.int32()), one)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"tokens": texts, "tags": texts}), buffer, compression="zstd")
    version = check(scope, upload(scope, buffer.getvalue(), filename="rows.parquet"))
    assert "hold more than 256 MB of text" in str(version.error)
