from dataclasses import replace

import pytest
import torch

from core.models.fine_tune_jobs import JobStatus, Method
from tests.training.recipe.conftest import SEED
from tests.training.recipe.samples import BASE, Memory, messages
from training.recipe import probe
from training.recipe.by_task import fine_tune, measure
from training.recipe.data import ClassificationData, Example
from training.recipe.errors import RecipeError
from training.recipe.probe import FittedProbe, Probe
from training.recipe.settings import FineTuneSettings

ONE_EPOCH = FineTuneSettings(epochs=1)


def test_the_evaluation_tells_of_the_test_split(lora):
    result, _ = lora
    test = result.evaluation["test"]
    assert test["rows"] == 9
    assert test["accuracy"]["low"] < test["accuracy"]["value"] <= test["accuracy"]["high"]
    assert sum(map(sum, test["confusion"])) == 9
    assert [row["label"] for row in test["per_class"]] == result.evaluation["labels"]
    assert result.promotable is result.evaluation["promotion"]["promotable"]


def test_the_phases_come_in_order(lora):
    _, memory = lora
    assert list(dict.fromkeys(memory.phases)) == [
        JobStatus.PREPARING,
        JobStatus.TRAINING,
        JobStatus.EVALUATING,
    ]


def test_progress_grows_from_nothing_to_all(lora):
    _, memory = lora
    shares = [share for share, _ in memory.beats]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert memory.beats[-1] == (1.0, 0)


def test_curves_have_a_point_for_each_validation_and_step(lora):
    _, memory = lora
    steps = {name: [step for metric, step in memory.metrics if metric == name] for name, _ in memory.metrics}
    assert steps["train_loss"] == [1, 2, 3, 4, 5, 6]
    assert steps["validation_loss"] == steps["validation_macro_f1"] == [0, 3, 6]


def test_the_log_holds_no_text(lora):
    _, memory = lora
    texts = [example.text for example in messages().train]
    assert not any(text in line for text in texts for line in memory.lines)


def test_training_tokens_are_those_of_the_training_split_in_every_epoch(lora):
    result, _ = lora
    assert (
        result.training_tokens
        == measure(messages(), FineTuneSettings(epochs=2), BASE, lambda: None).training_tokens
    )


def test_what_training_will_read_is_known_before_it_begins(lora):
    result, memory = lora
    assert memory.training_tokens == result.training_tokens


def test_the_same_seed_gives_the_same_adapter(lora):
    result, _ = lora
    again = fine_tune(messages(), FineTuneSettings(epochs=2), BASE, SEED, Memory())
    assert again == result


def test_a_full_fine_tune_changes_the_encoder(full):
    result, _ = full
    assert result.rank is None
    assert len(result.adapter_file) > 40_000_000


def test_an_estimate_is_of_seconds_and_beats():
    beats: list[None] = []
    measured = measure(messages(), FineTuneSettings(method=Method.FULL), BASE, lambda: beats.append(None))
    assert measured.seconds > 0
    assert beats


def test_without_a_validation_split_the_last_weights_are_kept():
    result = fine_tune(messages(train=4, validation=0), ONE_EPOCH, BASE, SEED, Memory())
    assert "validation" not in result.evaluation


def test_labels_may_be_rare_or_missing_from_a_split():
    data = messages(("delivery_status", "complaint"), train=6)
    rare = Example("Do you sell gift cards?", "product_question", 1)
    data = ClassificationData(
        (*data.labels, "product_question", "unseen"), [*data.train, rare], data.validation, data.test
    )
    result = fine_tune(data, ONE_EPOCH, BASE, SEED, Memory())
    assert [row["support"] for row in result.evaluation["test"]["per_class"]] == [3, 3, 0, 0]


def test_a_thousand_labels_train():
    labels = tuple(f"label {index}" for index in range(1000))
    examples = [Example(label, label, index) for index, label in enumerate(labels[::20])]
    result = fine_tune(
        ClassificationData(labels, examples, examples[:9], examples[:9]), ONE_EPOCH, BASE, SEED, Memory()
    )
    assert len(result.evaluation["test"]["confusion"]) == 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": []}, "test split is empty"),
        ({"train": messages().train[:3]}, "fewer than two labels"),
        ({"labels": ("delivery_status", "cancellation")}, "does not name"),
        ({"labels": ("delivery_status", *messages().labels)}, "twice"),
    ],
    ids=["no test", "one label", "unknown label", "label twice"],
)
def test_data_that_nothing_can_be_learned_from_is_refused_before_any_work(change, message):
    data = replace(messages(), **change)
    memory = Memory()
    with pytest.raises(RecipeError, match=message):
        fine_tune(data, ONE_EPOCH, BASE, SEED, memory)
    with pytest.raises(RecipeError, match=message):
        measure(data, ONE_EPOCH, BASE, lambda: None)
    assert not memory.phases


def test_a_loss_that_is_no_number_says_which_setting_to_lower(monkeypatch):
    broken = Probe(torch.full((3, BASE.hidden_size), torch.nan), torch.zeros(3))
    monkeypatch.setattr(probe, "fit", lambda *_: FittedProbe(broken, torch.full((12, 3), 1 / 3)))
    with pytest.raises(RecipeError, match="Lower the learning rate"):
        fine_tune(messages(train=4, validation=0), ONE_EPOCH, BASE, SEED, Memory())


class Cancelled(Exception):
    """As the caller's."""


@pytest.mark.parametrize("method", ["phase", "beat", "metric", "log", "save_checkpoint"])
def test_what_a_monitor_raises_stops_the_fine_tune_as_it_is(method):
    class Stopping(Memory):
        pass

    def stop(*_):
        raise Cancelled

    setattr(Stopping, method, stop)
    with pytest.raises(Cancelled):
        fine_tune(messages(train=4, validation=1, test=1), ONE_EPOCH, BASE, SEED, Stopping())
