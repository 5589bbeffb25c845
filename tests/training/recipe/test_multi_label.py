"""Several labels for a text: a whole fine-tune, its numbers, and what the pool makes of its file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from core.models.fine_tune_jobs import Method
from inference.pool.adapters import parse
from inference.pool.base import cut, load_base
from inference.pool.engine import Engine, Row
from tests.training.recipe.conftest import SEED
from tests.training.recipe.samples import BASE, Memory, messages
from training.recipe.by_task import fine_tune, measure
from training.recipe.data import Example, MultiLabelData, MultiLabelExample
from training.recipe.errors import RecipeError
from training.recipe.multi_label.evaluation import evaluate, macro_f1, micro_f1, promotion
from training.recipe.settings import FineTuneSettings

SETTINGS = FineTuneSettings(epochs=2)
RANDOM = np.random.default_rng(0)
TRUTH, CHOSEN = RANDOM.random((40, 3)) < 0.4, RANDOM.random((40, 3)) < 0.4


def with_labels(examples: list[Example]) -> list[MultiLabelExample]:
    """The topic, and whether the text asks something: texts have two labels, one or none."""
    return [
        MultiLabelExample(
            example.text,
            tuple(
                label
                for label, is_there in (
                    (example.label, example.label != "cancellation"),
                    ("question", "?" in example.text),
                )
                if is_there
            ),
            example.row,
        )
        for example in examples
    ]


def data() -> MultiLabelData:
    of_one = messages(train=8)
    labels = ("account_access", "delivery_status", "question", "unseen")
    return MultiLabelData(labels, *(with_labels(list(split)) for split in of_one.splits))


@pytest.fixture(scope="module")
def trained(quick):
    memory = Memory()
    return fine_tune(data(), SETTINGS, BASE, SEED, memory), memory


def test_the_evaluation_tells_of_all_labels(trained):
    evaluation = trained[0].evaluation
    test = evaluation["test"]
    assert (evaluation["task"], evaluation["labels"]) == ("multi-label", list(data().labels))
    assert test["rows"] == 9
    assert test["micro_f1"]["low"] <= test["micro_f1"]["value"] <= test["micro_f1"]["high"]
    assert [row["label"] for row in test["per_class"]] == list(data().labels)
    assert evaluation["probe"].keys() == {"micro_f1", "macro_f1"}
    assert evaluation["validation"].keys() == {"rows", "step", "loss", "macro_f1"}
    assert {name for name, _ in trained[1].metrics} == {
        "train_loss", "validation_loss", "validation_macro_f1",
    }  # fmt: skip


def test_f1_is_that_of_scikit_learn():
    test = evaluate(TRUTH, CHOSEN, ("a", "b", "c"), 0, lambda: None)
    assert micro_f1(TRUTH, CHOSEN) == pytest.approx(f1_score(TRUTH, CHOSEN, average="micro"))
    assert macro_f1(TRUTH, CHOSEN) == pytest.approx(f1_score(TRUTH, CHOSEN, average="macro"))
    assert [row["f1"] for row in test["per_class"]] == pytest.approx(f1_score(TRUTH, CHOSEN, average=None))
    assert test["exact_match"] == pytest.approx((TRUTH == CHOSEN).all(1).mean())
    for name in ("micro_f1", "macro_f1"):
        assert test[name]["low"] < test[name]["value"] < test[name]["high"]


def test_a_model_has_to_beat_its_probe_to_be_promotable():
    assert promotion(TRUTH, TRUTH, CHOSEN) == {"promotable": True, "reason": None}
    assert "does not beat its probe" in promotion(TRUTH, CHOSEN, CHOSEN)["reason"]


@pytest.mark.parametrize("method", Method)
def test_the_pool_chooses_the_labels_that_were_evaluated(method, trained):
    settings = FineTuneSettings(method=method, epochs=1)
    result = trained[0] if method is Method.LORA else fine_tune(data(), settings, BASE, SEED, Memory())
    base = load_base(BASE.id)
    adapter = parse(result.adapter_file, {base.id: base})
    assert adapter.labels == data().labels
    tokens = base.tokenise([example.text for example in data().test])
    results = Engine().run([Row(cut(ids, adapter.max_length), adapter) for ids in tokens])
    chosen = torch.stack([scores for scores in results if scores is not None]).numpy() >= 0.5
    truth = np.array([[label in example.labels for label in data().labels] for example in data().test])
    assert micro_f1(truth, chosen) == pytest.approx(result.evaluation["test"]["micro_f1"]["value"])


def test_an_estimate_is_of_the_same_tokens(trained):
    assert measure(data(), SETTINGS, BASE, lambda: None).training_tokens == trained[0].training_tokens


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": []}, "test split is empty"),
        ({"labels": ("question",)}, "does not name"),
        ({"train": [MultiLabelExample("a", (), 1)]}, "has a label"),
    ],
)
def test_data_that_nothing_can_be_learned_from_is_refused(change, message):
    with pytest.raises(RecipeError, match=message):
        fine_tune(replace(data(), **change), SETTINGS, BASE, SEED, Memory())
