"""A fine-tune with differential privacy: its gradient, what reaches the weights, what is told, and how it resumes."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core.catalogue import Task
from core.models.fine_tune_jobs import Method
from tests.training.recipe.conftest import SEED
from tests.training.recipe.samples import BASE, Killed, Memory, messages
from tests.training.recipe.test_multi_label import data as multi_label_data
from tests.training.recipe.test_tagging import DATA as TAGGING_DATA
from training.recipe import by_task, saver
from training.recipe.by_task import fine_tune, measure
from training.recipe.classification.objective import Classification
from training.recipe.data import TrainingData
from training.recipe.encoder import Encoder, EncoderModel
from training.recipe.encoder_learner import EncoderLearner
from training.recipe.errors import RecipeError
from training.recipe.frozen import FrozenLayers
from training.recipe.multi_label.objective import MultiLabel
from training.recipe.private.encoder_learner import PrivateEncoderLearner
from training.recipe.private.guarantee import Guarantee
from training.recipe.private.mechanism import Mechanism, epsilon_after
from training.recipe.private.promotion import promotion
from training.recipe.private.randomness import Randomness
from training.recipe.progress import Progress, Stage
from training.recipe.result import Result
from training.recipe.schedule import PRIVATE, Schedule
from training.recipe.settings import FineTuneSettings, SettingsError
from training.recipe.tagging.objective import Tagging
from training.recipe.tokens import TextTokenizer

pytestmark = pytest.mark.xdist_group("private")

SETTINGS = FineTuneSettings(epochs=2, epsilon=8.0, rank=4)
KEY = bytes(range(32))
OBJECTIVES: list[tuple[Callable[..., Any], TrainingData[Any]]] = [
    (Classification, messages(train=3)),
    (MultiLabel, multi_label_data()),
    (Tagging, TAGGING_DATA),
]


@pytest.fixture(scope="module", autouse=True)
def few_rows(quick: None) -> Iterator[None]:
    """A few rows are enough, in several steps an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_task, "MIN_PRIVATE_ROWS", 1)
        for module in ("encoder_run", "encoder_measuring"):
            patch.setattr(f"training.recipe.{module}.PRIVATE", replace(PRIVATE, batch_rows=8))
        yield


@pytest.fixture
def known_key(monkeypatch):
    """Fine-tunes that draw the same key, so that they can be compared."""
    monkeypatch.setattr(secrets, "token_bytes", lambda size: KEY)


@pytest.fixture(scope="module")
def private(few_rows: None) -> tuple[Result, Memory]:
    memory = Memory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", lambda size: KEY)
        return fine_tune(messages(), SETTINGS, BASE, SEED, memory), memory


def learner(make: Callable[..., Any], data: TrainingData[Any], mechanism: Mechanism | None) -> Any:
    """A learner of the data's training split, whose LoRA has moved a little already; a plain one without mechanism."""
    objective = make(data.labels)
    split = objective.tokenize(TextTokenizer(BASE), data.train, lambda _: None)
    encoder, cpu = Encoder.load(BASE, torch.device("cpu")), torch.device("cpu")
    torch.manual_seed(0)
    labels = len(objective.labels)
    model = EncoderModel.prepare(
        encoder, SETTINGS, torch.randn(labels, encoder.hidden_size) / 20, torch.zeros(labels)
    )
    for name, weights in model.trained().items():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.02)
    frozen = FrozenLayers(Encoder.load(BASE, cpu), split, model.first_trained, cpu)
    progress = Progress(lambda *_: None)
    progress.plan(Stage.TRAINING, 1, 1)
    if mechanism is None:
        return EncoderLearner(model, objective, frozen, None, len(split), progress)
    schedule = Schedule.of(SETTINGS, PRIVATE, len(split))
    guarantee = Guarantee(replace(mechanism, records=len(split)), Randomness(KEY))
    return PrivateEncoderLearner(model, objective, frozen, None, schedule, progress, guarantee)


def gradient(learner: Any, rows: np.ndarray, step: int = 0) -> torch.Tensor:
    for weights in learner.trained().values():
        weights.grad = None
    learner.learn(rows, step)
    return torch.cat([weights.grad.flatten() for weights in learner.trained().values()])


def all_rows(learner: Any) -> np.ndarray:
    lengths: np.ndarray = learner._train.split.lengths
    return lengths.argsort(kind="stable")


def mechanism(**changed: Any) -> Mechanism:
    given = {"noise_multiplier": 0.0, "clipping_norm": 1e9, "steps": 1, "delta": 0.01, "sampling_rate": 1.0}
    return Mechanism(records=0, **{**given, **changed})


@pytest.mark.parametrize(("make", "data"), OBJECTIVES, ids=["classification", "multi-label", "tagging"])
def test_without_noise_and_clipping_the_gradient_is_the_plain_one(make, data):
    plain, tested = learner(make, data, None), learner(make, data, mechanism())
    rows = all_rows(plain)
    expected, found = gradient(plain, rows), gradient(tested, rows)
    # The plain one is the mean over what is labeled, this the sum over records by how many of them there are.
    labeled = len(plain._train.split.labeled(rows)) / len(rows)
    assert float((found / labeled - expected).norm() / expected.norm()) < 1e-6


@pytest.mark.parametrize(("make", "data"), OBJECTIVES, ids=["classification", "multi-label", "tagging"])
def test_a_row_moves_a_steps_gradient_by_no_more_than_its_share(make, data):
    tested = learner(make, data, mechanism(clipping_norm=0.05, noise_multiplier=1.0))
    rows = all_rows(tested)
    whole = gradient(tested, rows)
    moved = [float((whole - gradient(tested, np.delete(rows, index))).norm()) for index in range(3)]
    share = 0.05 / len(rows)
    assert max(moved) <= share * 1.001
    assert max(moved) > share * 0.9


def test_steps_sample_rows_by_chance_and_know_nothing_of_the_epoch():
    tested = learner(Classification, messages(train=8), mechanism(sampling_rate=0.5))
    batches = [tuple(rows) for epoch in range(6) for rows in tested.batches(SEED, epoch)]
    assert len(set(batches)) == len(batches)
    assert len({len(rows) for rows in batches}) > 1
    assert tested.batches(SEED, 2)[0].tolist() == list(batches[2])


def test_an_empty_sample_is_a_step_of_noise():
    tested = learner(Classification, messages(train=3), mechanism(noise_multiplier=1.0, clipping_norm=1.0))
    found = gradient(tested, np.zeros(0, dtype=np.int64))
    assert float(found.std()) == pytest.approx(1 / 9, rel=0.05)


def test_what_is_promised_is_in_the_evaluation_and_the_log(private):
    result, memory = private
    privacy = result.evaluation["privacy"]
    assert 7.9 < privacy["epsilon"] <= 8.0
    assert (privacy["steps"], privacy["records"]) == (6, 24)
    assert privacy["delta"] == pytest.approx(1 / 240)
    assert privacy["epsilon"] == epsilon_after(
        6, privacy["noise_multiplier"], privacy["sampling_rate"], privacy["delta"]
    )
    assert any("ε = 7.9" in line or "ε = 8.0" in line for line in memory.lines)


def test_the_key_is_told_nowhere(private):
    result, memory = private
    told = f"{result.evaluation} {memory.lines} {memory.metrics}"
    assert KEY.hex() not in told
    assert KEY.hex().encode() not in result.adapter_file


def test_no_row_of_the_other_splits_reaches_the_weights(private, known_key):
    data = messages()
    relabeled = [replace(example, label="cancellation") for example in data.test]
    other = replace(data, validation=relabeled, test=data.validation)
    assert fine_tune(other, SETTINGS, BASE, SEED, Memory()).adapter_file == private[0].adapter_file


def test_no_weights_begin_as_the_probe(private, known_key, monkeypatch):
    fit_probe = Classification.fit_probe

    def fit_badly(*args):
        fitted = fit_probe(*args)
        return replace(fitted, probe=replace(fitted.probe, weight=-3 * fitted.probe.weight))

    monkeypatch.setattr(Classification, "fit_probe", fit_badly)
    assert fine_tune(messages(), SETTINGS, BASE, SEED, Memory()).adapter_file == private[0].adapter_file


def test_the_seed_alone_does_not_tell_the_weights(private):
    assert fine_tune(messages(), SETTINGS, BASE, SEED, Memory()).adapter_file != private[0].adapter_file


@pytest.mark.parametrize("checkpoint", [1, 3])
def test_a_resumed_fine_tune_counts_and_adds_noise_as_one_that_was_never_interrupted(
    checkpoint, private, monkeypatch
):
    monkeypatch.setattr(saver, "_SECONDS", 0.0)
    monkeypatch.setattr(saver, "_SHARE", 0)
    keys = iter([KEY, bytes(32)])
    monkeypatch.setattr(secrets, "token_bytes", lambda size: next(keys))
    killed = Memory(stop_at=checkpoint)
    with pytest.raises(Killed):
        fine_tune(messages(), SETTINGS, BASE, SEED, killed)
    resumed = fine_tune(messages(), SETTINGS, BASE, SEED, Memory(), killed.checkpoints[-1])
    assert resumed == private[0]
    assert next(keys) == bytes(32)


def test_an_estimate_tells_what_will_be_promised():
    measured = measure(messages(), SETTINGS, BASE, lambda: None)
    assert measured.privacy is not None
    assert 7.9 < measured.privacy["epsilon"] <= 8.0
    assert measured.privacy["expected_rows"] == 8


@pytest.mark.parametrize(("make", "data"), OBJECTIVES, ids=["classification", "multi-label", "tagging"])
def test_a_model_that_gives_one_answer_to_everything_is_not_promotable(make, data):
    objective = make(data.labels)
    split = objective.tokenize(TextTokenizer(BASE), data.test, lambda _: None)
    blind = promotion(objective, objective.blind(split), split)
    assert not blind["promotable"]
    assert "one answer" in blind["reason"]


def test_a_model_that_is_right_is_promotable():
    data = messages()
    objective = Classification(data.labels)
    split = objective.tokenize(TextTokenizer(BASE), data.test, lambda _: None)
    right = torch.nn.functional.one_hot(torch.from_numpy(split.labels), len(data.labels)).float()
    assert promotion(objective, right, split) == {"promotable": True, "reason": None}


def test_too_few_rows_are_refused_before_any_work(monkeypatch):
    monkeypatch.setattr(by_task, "MIN_PRIVATE_ROWS", 100)
    with pytest.raises(RecipeError, match="24 rows"):
        fine_tune(messages(), SETTINGS, BASE, SEED, Memory())


def test_what_cannot_be_private_is_refused():
    with pytest.raises(SettingsError, match="LoRA only"):
        FineTuneSettings(method=Method.FULL, epsilon=3.0)
    with pytest.raises(SettingsError, match="chat"):
        FineTuneSettings(epsilon=3.0).check_task(Task.CHAT)


def test_results_of_all_tasks_come_with_a_guarantee():
    for data in (TAGGING_DATA, multi_label_data()):
        result: Result = fine_tune(data, replace(SETTINGS, epochs=1), BASE, SEED, Memory())
        assert result.evaluation["privacy"]["epsilon"] <= 8.0
