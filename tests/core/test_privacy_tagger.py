"""The tagger of personal data as it is installed: what it finds, and that only its text decides."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.privacy import tagger as module
from core.privacy.tagger import (
    ADAPTER,
    FACTS_FILE,
    FOLDER,
    GRAPH_FILE,
    OVERLAP,
    WINDOW,
    Tagger,
    TaggerUnavailable,
    windows,
)

LARGEST_ADAPTER = 4_000_000


@pytest.fixture(scope="module")
def tagger():
    return Tagger()


def found(tagger, text, entities=None, threshold=module.THRESHOLD):
    (findings,) = tagger.find([text], entities or tagger.entities, threshold)
    return [(text[one.start : one.end], one.entity) for one in findings]


def test_the_committed_adapter_is_small():
    assert ADAPTER.stat().st_size <= LARGEST_ADAPTER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please call Maria Fernandez back.", ("Maria Fernandez", "PERSON")),
        ("Hello, my name is Krzysztof Wiśniewski.", ("Krzysztof Wiśniewski", "PERSON")),
        ("hi this is jonas, where is my order", ("jonas", "PERSON")),
        ("Lovelace, Ada\nMathematician", ("Lovelace, Ada", "PERSON")),
        ("We moved from Leipzig to a village.", ("Leipzig", "LOCATION")),
        ("I have worked for Siemens AG since then.", ("Siemens AG", "ORGANIZATION")),
        ("The patient is a 42 year old farmer.", ("42", "AGE")),
        ("My wife is Norwegian.", ("Norwegian", "NATIONALITY")),
        ("Dear Mrs. Okonkwo,", ("Mrs.", "TITLE")),
    ],
)
def test_it_finds(tagger, text, expected):
    assert expected in found(tagger, text)


@pytest.mark.parametrize(
    "text",
    [
        "How do I reset my password?",
        "The delivery was late and the box was broken.",
        "Please Read The Instructions Carefully Before Use.",
        "May I have your attention please?",
        "Open Settings, then Privacy, and switch it off.",
    ],
)
def test_it_leaves_alone(tagger, text):
    assert found(tagger, text) == []


def test_the_other_half_of_a_double_name_is_found_with_it(tagger):
    assert ("Anne-Marie O'Brien", "PERSON") in found(tagger, "I spoke to Anne-Marie O'Brien about it.")


def test_only_the_kinds_asked_for_are_found(tagger):
    text = "Maria Fernandez moved from Leipzig to Madrid."
    assert {kind for _, kind in found(tagger, text, frozenset({"PERSON"}))} == {"PERSON"}
    assert found(tagger, text, frozenset({"EMAIL_ADDRESS"})) == []


def test_a_lower_threshold_finds_all_that_a_higher_one_does(tagger):
    text = "Will and Summer flew to Paris with Chase from accounting, and Mark stayed in Reading."

    def letters(threshold):
        (findings,) = tagger.find([text], tagger.entities, threshold)
        return {position for one in findings for position in range(one.start, one.end)}

    assert letters(0.9) <= letters(0.5) <= letters(0.05)
    assert letters(0.9) < letters(0.05)


def test_scores_are_probabilities(tagger):
    (findings,) = tagger.find(["Maria Fernandez lives in Leipzig."], tagger.entities, 0.01)
    assert findings
    assert all(0 <= one.score <= 1 for one in findings)


def test_a_name_is_found_wherever_windows_are_cut(tagger):
    filler = "and then the order was late again so we had to wait for it".split()
    for before in range(WINDOW - 2 * OVERLAP, WINDOW + OVERLAP, 5):
        words = [filler[index % len(filler)] for index in range(before)]
        text = " ".join([*words, ". Then Maria Fernandez called us .", *words])
        assert ("Maria Fernandez", "PERSON") in found(tagger, text), before


def test_no_word_of_a_long_text_is_left_out(tagger):
    text = "Maria Fernandez called. " * 300
    assert found(tagger, text, frozenset({"PERSON"})) == [("Maria Fernandez", "PERSON")] * 300


@given(st.lists(st.integers(1, 100), min_size=1, max_size=400))
def test_windows_hold_all_words_and_overlap(lengths):
    parts = list(windows(lengths))
    assert parts[0][0] == 0
    assert parts[-1][1] == len(lengths)
    for (start, end), (next_start, next_end) in pairwise(parts):
        assert start < next_start <= end < next_end
        assert sum(lengths[next_start:end]) <= OVERLAP
    assert all(sum(lengths[start:end]) <= WINDOW - 2 for start, end in parts)


def test_what_is_found_of_a_text_depends_on_no_other_text(tagger):
    texts = [
        "Maria Fernandez lives in Leipzig.",
        "no names here",
        "Zoë Müller-Lüdenscheidt, 42, from Siemens AG " * 30,
    ]
    together = tagger.find(texts, tagger.entities, 0.3)
    assert together == [tagger.find([text], tagger.entities, 0.3)[0] for text in texts]


def test_threads_share_it(tagger):
    texts = [f"Person number {number} is Maria Fernandez of Leipzig." for number in range(40)]
    expected = [tagger.find([text], tagger.entities) for text in texts]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda text: tagger.find([text], tagger.entities), texts)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "…",
        "!" * 3000,
        "x" * 3000,
        "\x00\x01",
        "\ufffd",
        "Ａｄａ",
        "日本語の文章です。",
        "👩‍👩‍👧",
    ],
)
def test_any_text_can_be_read(tagger, text):
    (findings,) = tagger.find([text], tagger.entities, 0.1)
    assert all(0 <= one.start < one.end <= len(text) for one in findings)


def test_a_missing_graph_is_told(tmp_path):
    with pytest.raises(TaggerUnavailable, match="make setup"):
        Tagger(tmp_path)


def test_facts_without_a_graph_are_told(tmp_path):
    shutil.copy(FOLDER / FACTS_FILE, tmp_path)
    with pytest.raises(TaggerUnavailable, match="make setup"):
        Tagger(tmp_path)


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"tags": 1}', '{"tags": [], "unknown": 1}'])
def test_facts_that_cannot_be_read_are_told(tmp_path, facts):
    (tmp_path / FACTS_FILE).write_text(facts)
    with pytest.raises(TaggerUnavailable, match="make setup"):
        Tagger(tmp_path)


@pytest.mark.parametrize("fact", ["adapter", "base", "graph"])
def test_a_graph_of_other_files_is_refused(tmp_path, fact):
    folder = tmp_path / "tagger"
    shutil.copytree(FOLDER, folder)
    facts = json.loads((folder / FACTS_FILE).read_text())
    (folder / FACTS_FILE).write_text(json.dumps({**facts, fact: "0" * 64}))
    with pytest.raises(TaggerUnavailable, match="make setup"):
        Tagger(folder)


def test_a_changed_graph_is_refused(tmp_path):
    folder = tmp_path / "tagger"
    shutil.copytree(FOLDER, folder)
    with (folder / GRAPH_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(TaggerUnavailable, match="make setup"):
        Tagger(folder)


def test_it_needs_neither_torch_nor_spacy():
    code = (
        "import sys; from core.privacy.tagger import Tagger; Tagger().find(['Ada'], frozenset({'PERSON'}));"
        "assert not {'torch', 'transformers', 'spacy', 'presidio_analyzer', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
