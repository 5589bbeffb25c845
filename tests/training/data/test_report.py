"""What is found in a data set, and how it is told."""

import gzip
import io
import json

import numpy as np
import pytest

from core.catalogue import DEFAULT_BASE_MODEL, Task, get_base_model
from training.data.batches import in_batches
from training.data.columns import Split
from training.data.errors import DataError
from training.data.files import DataFormat
from training.data.guessing import guess_mapping
from training.data.labeled_rows import LabeledRow
from training.data.profile import Profiler
from training.data.readers import Reading, detect, open_table, preview
from training.data.report import Report
from training.data.row_readers import read_rows
from training.data.tokens import TokenCounter

READING = Reading(DataFormat.CSV)


@pytest.fixture(scope="module")
def tokens() -> TokenCounter:
    return TokenCounter(get_base_model(DEFAULT_BASE_MODEL))


@pytest.fixture
def report(tokens):
    """`report(rows)`: the report's JSON on (text, label[, split]) rows."""

    def report(rows):
        numbered = [
            LabeledRow(number, row[0], row[1], row[2] if len(row) > 2 else None)
            for number, row in enumerate(rows, start=1)
        ]
        return make(tokens, numbered, READING)

    return report


def make(tokens, rows, reading):
    profiler = Profiler(tokens, Task.CLASSIFICATION)
    for batch in in_batches(rows):
        profiler.add(batch)
    found = Report(profiler.finish(), reading)
    examples = {row.number: row for row in rows if row.number in found.rows_wanted}
    whole = found.to_json(examples, lambda texts: [text.replace("Ada", "[PERSON]") for text in texts], {})
    return json.loads(json.dumps(whole))


def codes(report):
    return [finding["code"] for finding in report["findings"]]


def finding(report, code):
    return next(finding for finding in report["findings"] if finding["code"] == code)


CLEAN = [(f"Text number {number} about something", "ab"[number % 2]) for number in range(100)]


def test_a_clean_data_set_has_no_findings(report):
    found = report(CLEAN)
    assert found["findings"] == []
    assert not found["blocked"]
    assert (found["rows"], found["kept_rows"], found["label_count"]) == (100, 100, 2)
    assert found["splits"] == {"train": 80, "validation": 10, "test": 10}
    assert found["labels"][0] == {"label": "a", "count": 50, "share": 0.5, "mentions": 50}


def test_every_kind_of_finding_names_its_rows(report):
    rows = [
        *CLEAN,  # 1–100
        CLEAN[0],  # 101
        ("", "a"),  # 102
        ("No label, says Ada", ""),  # 103
        ("TEXT NUMBER 1, about something!", "a"),  # 104: row 2 says b
        ("word " * 300, "a"),  # 105
        ("The only one", "c"),  # 106
        ("Another", "A"),  # 107
    ]
    found = report(rows)
    rows_of = {one["code"]: [example["row"] for example in one["examples"]] for one in found["findings"]}
    assert rows_of == {
        "empty_text": [102],
        "empty_label": [103],
        "conflicting_labels": [2, 104],
        "scarce_labels": [106, 107],
        "labels_alike": [],
        "duplicates": [101],
        "uneven_labels": [],
        "too_long": [105],
    }
    assert finding(found, "duplicates")["examples"][0]["remark"] == "the same as row 1"
    assert finding(found, "conflicting_labels")["examples"][1]["remark"] == "the same text as row 2"
    assert finding(found, "empty_label")["examples"][0]["text"] == "No label, says [PERSON]"
    assert finding(found, "too_long")["examples"][0]["remark"] == "about 302 tokens"
    assert len(finding(found, "too_long")["examples"][0]["text"]) <= 160


def test_leaks_between_the_files_own_splits_are_found_after_normalising(report):
    rows = [(text, label, list(Split)[number % 3]) for number, (text, label) in enumerate(CLEAN)]
    rows.append((rows[0][0].upper() + "!!", rows[0][1], Split.TEST))
    found = report(rows)
    leaks = finding(found, "leaks")
    assert (leaks["count"], leaks["severity"]) == (1, "warning")
    assert [(example["row"], example["remark"]) for example in leaks["examples"]] == [
        (1, "in train"),
        (101, "in test"),
    ]
    assert found["own_split"]
    assert sum(found["splits"].values()) == 100


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (CLEAN[:10], "too_few_rows"),
        ([(text, "a") for text, _ in CLEAN], "too_few_labels"),
        ([(text, "") for text, _ in CLEAN], "too_few_labels"),
        ([(text, label, Split.TEST) for text, label in CLEAN], "no_training_rows"),
    ],
)
def test_what_cannot_be_trained_on_is_blocked(report, rows, code):
    found = report(rows)
    assert found["blocked"]
    assert finding(found, code)["severity"] == "error"
    assert found["findings"][0]["severity"] == "error"


def test_at_most_five_examples_are_given_and_all_are_counted(report):
    duplicates = finding(report([*CLEAN, *CLEAN]), "duplicates")
    assert (duplicates["count"], len(duplicates["examples"])) == (100, 5)
    assert duplicates["severity"] == "warning"


def test_a_column_of_texts_taken_for_labels_is_refused(report):
    with pytest.raises(DataError, match="more than 1,000 different labels"):
        report([(text, str(number)) for number, (text, _) in enumerate(CLEAN * 11)])


def test_lengths_are_counted_once_each(report):
    found = report([*CLEAN, ("x" * 5000, "a")])
    for unit in ("characters", "tokens"):
        assert sum(bar["count"] for bar in found[unit]["histogram"]) == 101
    assert found["characters"]["max"] == 5000


def test_tokens_of_a_very_long_text_are_estimated(tokens):
    [count] = tokens.count(["word " * 20_000])
    assert abs(count - 20_000) < 50


@pytest.mark.parametrize(
    ("name", "rows", "labels", "left_out"),
    [("trec_train.csv.gz", 5452, 6, 71), ("clinc150_train.csv.gz", 15100, 151, 0)],
)
def test_public_data_sets_are_reported_in_seconds(shared_dir, tokens, name, rows, labels, left_out):
    stream = io.BytesIO(gzip.decompress((shared_dir / "datasets" / name).read_bytes()))
    reading = detect(stream, name.removesuffix(".gz"))
    table = open_table(stream, reading)
    mapping = guess_mapping(table.columns, preview(table))
    assert mapping is not None
    found = make(tokens, list(read_rows(table, mapping)), reading)
    assert (found["rows"], found["label_count"]) == (rows, labels)
    assert found["rows"] - found["kept_rows"] == left_out
    assert not found["blocked"]
    shares = np.array(list(found["splits"].values())) / found["kept_rows"]
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.01)
