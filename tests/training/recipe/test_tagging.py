"""Tagging: words and their tags, entities, a whole fine-tune, and what the pool makes of its file."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.pool.adapters import parse
from inference.pool.base import load_base
from inference.pool.engine import Engine, Row
from inference.pool.entities import merge
from tests.training.recipe.conftest import SEED
from tests.training.recipe.samples import BASE, Killed, Memory
from training.recipe import saver
from training.recipe.by_task import fine_tune, measure
from training.recipe.data import TaggedExample, TaggingData
from training.recipe.errors import RecipeError
from training.recipe.f1 import Hits
from training.recipe.settings import FineTuneSettings
from training.recipe.tagging.entities import bio_tags, entities, hits
from training.recipe.tagging.tokens import tokenize
from training.recipe.tokens import TextTokenizer

TAGS = bio_tags(["PER", "LOC"])
SETTINGS = FineTuneSettings(epochs=2)


def sentences(names: list[str], first: int) -> list[TaggedExample]:
    """Somebody lives somewhere: names are of one token or several, places of one."""
    places = ["Leeds", "Ghent", "Cork", "Oslo"]
    return [
        TaggedExample(
            (*name.split(), "lives", "in", places[number % len(places)], "."),
            (*["B-PER", *["I-PER"] * (len(name.split()) - 1)], "O", "O", "B-LOC", "O"),
            first + number,
        )
        for number, name in enumerate(names)
    ]


NAMES = ["Ada", "Maria Jensen", "Tom Roe", "Yusuf", "Anna-Lena Holt", "Peter", "Niamh Gallagher", "Rasmus"]
DATA = TaggingData(
    ("LOC", "PER"),
    sentences(NAMES * 2, 1),
    sentences(["Sabine", "Petra Lindholm"], 20),
    sentences(["Bartosz", "Chidi Okafor", "Lucía Ortega"], 30),
)


@pytest.fixture(scope="module")
def trained(quick):
    memory = Memory()
    return fine_tune(DATA, SETTINGS, BASE, SEED, memory), memory


def test_tags_have_the_order_of_the_adapters_file():
    assert TAGS == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


@pytest.mark.parametrize(
    ("tokens", "tags", "words"),
    [
        (("Ada", "left"), ("B-PER", "O"), [("ada", "B-PER"), ("left", "O")]),
        (("Roe-Smith",), ("B-PER",), [("roe", "B-PER"), ("-", "I-PER"), ("smith", "I-PER")]),
        (("[PERSON]",), ("B-PER",), [("[", "B-PER"), ("person", "I-PER"), ("]", "I-PER")]),
        (("Mr.", "Roe"), ("O", "B-PER"), [("mr", "O"), (".", "O"), ("roe", "B-PER")]),
        (("unbelievableness",), ("O",), [("unbelievable", "O")]),
        (("\u200d", "Roe"), ("B-PER", "I-PER"), [("roe", "I-PER")]),
    ],
    ids=["words", "hyphen", "placeholder", "full stop", "subwords", "nothing to read"],
)
def test_a_word_has_its_tokens_tag_at_its_first_subword(tokens, tags, words):
    split = tokenize(TextTokenizer(BASE), [TaggedExample(tokens, tags, 1)], TAGS, lambda _: None)
    base = load_base(BASE.id)
    assert split.places is not None
    read = [base.tokenizer.id_to_token(int(split.ids[place])) for place in split.places]
    assert list(zip(read, (TAGS[label] for label in split.labels), strict=True)) == words


def test_the_words_are_the_pools():
    example = TaggedExample(
        ("Jané", "Roe-Smith,", "会社", "🙂 ", "x" * 300, *["word"] * 300), ("O",) * 305, 1
    )
    split = tokenize(TextTokenizer(BASE), [example], TAGS, lambda _: None)
    [tokens] = load_base(BASE.id).tokenise_words([" ".join(example.tokens)], BASE.max_length)
    kept = tokens.cut(BASE.max_length)
    assert split.ids.tolist() == kept.ids
    assert split.places is not None
    assert split.places.tolist() == [word.position for word in kept.words]


def test_words_keep_their_places_when_rows_are_taken():
    split = tokenize(TextTokenizer(BASE), DATA.train, TAGS, lambda _: None)
    taken = split.take(np.array([5, 1]))
    assert taken.places is not None
    assert split.places is not None
    words = split.labeled(np.array([5, 1]))
    assert taken.ids[taken.places].tolist() == split.ids[split.places[words]].tolist()
    assert taken.labels.tolist() == split.labels[words].tolist()


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("B-PER I-PER O B-LOC", {(0, 2, "PER"), (3, 4, "LOC")}),
        ("B-PER B-PER", {(0, 1, "PER"), (1, 2, "PER")}),
        ("O I-PER I-PER", {(1, 3, "PER")}),
        ("B-PER I-LOC I-LOC", {(0, 1, "PER"), (1, 3, "LOC")}),
        ("O O", set()),
    ],
)
def test_entities_are_runs_of_one_kind(tags, found):
    assert entities(tags.split()) == found


def test_an_entity_counts_where_all_its_words_and_its_kind_are_right():
    position = {tag: index for index, tag in enumerate(TAGS)}

    def ids(tags: str) -> np.ndarray:
        return np.array([position[tag] for tag in tags.split()])

    truth = ids("B-PER I-PER O B-LOC B-LOC O")
    guess = ids("B-PER I-PER O B-PER B-LOC I-LOC")
    counted = hits(truth, guess, np.array([0, 3, 6]), TAGS, ("LOC", "PER"))
    assert counted.right.tolist() == [[0, 1], [0, 0]]
    assert counted.micro_f1() == pytest.approx(2 * 1 / (3 + 3))
    assert [row["support"] for row in counted.by_label(("LOC", "PER"))] == [2, 1]


def test_nothing_found_where_nothing_is_has_an_f1_of_nothing():
    none = np.zeros((3, 2), dtype=np.int64)
    counted = Hits(none, none, none)
    assert (counted.micro_f1(), counted.macro_f1(), counted.precision()) == (0.0, 0.0, 0.0)
    assert counted.intervals(0, lambda: None) == ((0.0, 0.0), (0.0, 0.0))


def test_the_evaluation_tells_of_entities(trained):
    evaluation = trained[0].evaluation
    test = evaluation["test"]
    assert (evaluation["task"], evaluation["labels"]) == ("tagging", ["LOC", "PER"])
    assert (test["rows"], test["tokens"]) == (3, 5 + 6 + 6)
    assert test["f1"]["low"] <= test["f1"]["value"] <= test["f1"]["high"]
    assert [row["label"] for row in test["per_entity"]] == ["LOC", "PER"]
    assert evaluation["validation"].keys() == {"rows", "step", "loss", "f1"}
    better = test["f1"]["value"] > evaluation["probe"]["f1"]
    assert evaluation["promotion"]["promotable"] is better


def test_curves_are_of_loss_and_f1(trained):
    names = {name for name, _ in trained[1].metrics}
    assert names == {"train_loss", "validation_loss", "validation_f1"}


def test_training_lowers_the_loss(trained):
    metrics = trained[1].metrics
    assert metrics["validation_loss", 4] < metrics["validation_loss", 0]


def test_a_resumed_fine_tune_ends_as_one_that_was_never_interrupted(trained, monkeypatch):
    monkeypatch.setattr(saver, "_SECONDS", 0.0)
    monkeypatch.setattr(saver, "_SHARE", 0)
    killed = Memory(stop_at=3)
    with pytest.raises(Killed):
        fine_tune(DATA, SETTINGS, BASE, SEED, killed)
    assert fine_tune(DATA, SETTINGS, BASE, SEED, Memory(), killed.checkpoints[-1]) == trained[0]


def test_the_pool_finds_the_entities_that_were_evaluated(trained):
    result, _ = trained
    base = load_base(BASE.id)
    adapter = parse(result.adapter_file, {base.id: base})
    assert adapter.labels == TAGS
    texts = [" ".join(example.tokens) for example in DATA.test]
    rows = [tokens.cut(adapter.max_length) for tokens in base.tokenise_words(texts, adapter.max_length)]
    results = Engine().run([Row(row.ids, adapter, [word.position for word in row.words]) for row in rows])
    truth = tokenize(TextTokenizer(BASE), DATA.test, TAGS, lambda _: None)
    right = found = 0
    for number, (row, tags) in enumerate(zip(rows, results, strict=True)):
        assert isinstance(tags, torch.Tensor)
        guessed = merge(row.words, tags.tolist(), adapter.labels)
        labels = truth.labels[truth.labeled(np.array([number]))]
        words = row.words
        real = {
            (words[start].start, words[end - 1].end, kind)
            for start, end, kind in entities([TAGS[label] for label in labels])
        }
        found += len(guessed)
        right += len(real & {(entity.start, entity.end, entity.label) for entity in guessed})
    test = result.evaluation["test"]
    assert test["precision"] == pytest.approx(right / max(1, found))
    assert test["recall"] == pytest.approx(right / 6)


def test_an_estimate_is_of_the_same_tokens(trained):
    assert measure(DATA, SETTINGS, BASE, lambda: None).training_tokens == trained[0].training_tokens


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": []}, "test split is empty"),
        ({"labels": ("PER",)}, "does not name"),
        ({"train": [TaggedExample(("a", "b"), ("O",), 1)]}, "as many tags as tokens"),
        ({"train": [TaggedExample(("a",), ("O",), 1)]}, "has an entity"),
    ],
)
def test_data_that_nothing_can_be_learned_from_is_refused(change, message):
    with pytest.raises(RecipeError, match=message):
        fine_tune(replace(DATA, **change), SETTINGS, BASE, SEED, Memory())
