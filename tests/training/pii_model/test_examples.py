"""What the tagger learns from: made-up texts whose spans fit, and never what is held out."""

import json
from random import Random

import pytest

from training.pii_model import generate
from training.pii_model.corpora import conll, synthetic, tweets
from training.pii_model.examples import KINDS, AnnotatedText, Span
from training.pii_model.generate import fill, generated, joined, recased
from training.pii_model.split import held_out
from training.pii_model.values import Values


@pytest.fixture(scope="module")
def values():
    return Values(Random(1))


def marked(text):
    return [(text.text[span.start : span.end], span.kind) for span in text.spans]


def test_every_template_can_be_filled(values):
    for template in generate._templates():
        text = fill(template, values)
        assert "{full" not in text.text, template
        assert all(span.kind in KINDS and text.text[span.start : span.end].strip() for span in text.spans)


def test_spans_are_in_order_and_apart():
    for text in generated(300, seed=2):
        edges = [edge for span in text.spans for edge in (span.start, span.end)]
        assert edges == sorted(edges)
        assert not edges or edges[-1] <= len(text.text)


def test_slots_with_one_number_are_one_person(values):
    text = fill("{first.1}, {first.1} and {first=Rose}", values)
    first, second, third = marked(text)
    assert first == second
    assert third == ("Rose", "PERSON")


def test_what_has_a_format_is_not_marked(values):
    assert fill("{email} {phone} {iban} {card} {product} {job}", values).spans == ()


def test_texts_follow_from_the_seed():
    assert generated(30, seed=3) == generated(30, seed=3)
    assert generated(30, seed=3) != generated(30, seed=4)


def test_held_out_templates_are_not_trained_on(monkeypatch):
    monkeypatch.setattr(generate, "_templates", lambda: tuple(f"template {number}." for number in range(70)))
    monkeypatch.setattr(generate, "recased", lambda text, random: text)

    def used(is_held_out):
        texts = " ".join(text.text for text in generated(400, seed=1, held_out=is_held_out))
        return {int(part) for part in texts.replace("template ", "").replace(".", "").split()}

    assert used(True) == set(range(0, 70, 7))
    assert used(False) == set(range(70)) - set(range(0, 70, 7))


def test_joined_texts_keep_their_spans():
    one = AnnotatedText("Ada called", (Span(0, 3, "PERSON"),))
    assert marked(joined([one, one], "\n")) == [("Ada", "PERSON")] * 2


def test_a_change_of_case_keeps_the_spans():
    text = AnnotatedText("Straße in Köln: ŉ", (Span(10, 14, "LOCATION"),))
    for seed in range(100):
        changed = recased(text, Random(seed))
        assert changed.text[10:14].lower() == "köln"


def write_synthetic(folder):
    rows = []
    for template in range(20):
        before = f"template {template} is for "
        span = {"start": len(before), "end": len(before) + len("Ada Lovelace"), "type": "PERSON"}
        rows.append({"template": template, "text": f"{before}Ada Lovelace of Paris", "spans": [span]})
    (folder / "pii").mkdir()
    (folder / "pii" / "presidio_synth_v2.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_of_the_synthetic_set_only_the_training_half_is_read(tmp_path):
    write_synthetic(tmp_path)
    templates = {int(text.text.lower().split()[1]) for text in synthetic(tmp_path, 300, seed=1)}
    assert templates == set(range(0, 20, 2))
    assert not any(map(held_out, templates))


def test_values_of_the_synthetic_set_are_drawn_anew(tmp_path):
    write_synthetic(tmp_path)
    people = {marked(text)[0][0].lower() for text in synthetic(tmp_path, 100, seed=1)}
    assert len(people) > 50


def test_training_goes_without_others_texts(tmp_path):
    assert synthetic(tmp_path, 10, seed=1) == []
    assert tweets(tmp_path, ("train",)) == []
    assert conll(tmp_path) == []


def test_words_and_tags_become_a_text(tmp_path):
    lines = [
        "Ada\tB-PER",
        "Lovelace\tI-PER",
        "'s\tO",
        "friend\tO",
        "@bob_1\tB-PER",
        ",\tO",
        "Paris\tB-LOC",
        "",
        "Hi\tO",
    ]
    (tmp_path / "a.conll").write_text("\n".join(lines))
    first, second = conll(tmp_path)
    assert first.text == "Ada Lovelace's friend @bob_1, Paris"
    assert marked(first) == [("Ada Lovelace", "PERSON"), ("@bob_1", "USERNAME"), ("Paris", "LOCATION")]
    assert "DATE_TIME" not in first.kinds
    assert second.text == "Hi"
