import pytest

from core.models.fine_tune_jobs import JobStatus, Method
from tests.training.recipe.conftest import SEED
from tests.training.recipe.samples import BASE, Killed, Memory, messages
from training.recipe import saver
from training.recipe.by_task import fine_tune
from training.recipe.settings import FineTuneSettings

SETTINGS = FineTuneSettings(epochs=2)


def killed_at(checkpoint: int, settings: FineTuneSettings, data) -> Memory:
    """What is left of a fine-tune that is killed after it has saved so many checkpoints."""
    memory = Memory(stop_at=checkpoint)
    with pytest.raises(Killed):
        fine_tune(data, settings, BASE, SEED, memory)
    return memory


@pytest.fixture(autouse=True)
def saves_every_step(monkeypatch):
    monkeypatch.setattr(saver, "_SECONDS", 0.0)
    monkeypatch.setattr(saver, "_SHARE", 0)


# Three steps an epoch: after the probe, in the first epoch, at its end, at the end of training.
@pytest.mark.parametrize("checkpoint", [1, 3, 4, 7])
def test_a_resumed_fine_tune_ends_as_one_that_was_never_interrupted(checkpoint, lora):
    result, uninterrupted = lora
    killed = killed_at(checkpoint, SETTINGS, messages())
    resumed = Memory()
    assert fine_tune(messages(), SETTINGS, BASE, SEED, resumed, killed.checkpoints[-1]) == result
    assert {**killed.metrics, **resumed.metrics} == uninterrupted.metrics


def test_a_resumed_full_fine_tune_ends_as_one_that_was_never_interrupted():
    settings, data = FineTuneSettings(method=Method.FULL, epochs=1), messages(train=3)
    whole = fine_tune(data, settings, BASE, SEED, Memory())
    killed = killed_at(2, settings, data)
    assert fine_tune(data, settings, BASE, SEED, Memory(), killed.checkpoints[-1]) == whole


def test_a_resumed_fine_tune_does_not_fit_its_probe_again():
    data = messages(train=4)
    killed = killed_at(1, SETTINGS, data)
    resumed = Memory()
    fine_tune(data, SETTINGS, BASE, SEED, resumed, killed.checkpoints[-1])
    assert not any("held out" in line for line in resumed.lines)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda _: b"", lambda _: b"no checkpoint"])
def test_a_checkpoint_that_cannot_be_used_costs_time_and_nothing_else(damage):
    data = messages(train=4)
    killed = killed_at(2, SETTINGS, data)
    resumed = Memory()
    result = fine_tune(data, SETTINGS, BASE, SEED, resumed, damage(killed.checkpoints[-1]))
    assert resumed.phases[-1] == JobStatus.EVALUATING
    assert "starts from the beginning" in resumed.lines[0]
    assert result == fine_tune(data, SETTINGS, BASE, SEED, Memory())


def test_a_checkpoint_of_other_settings_is_not_gone_on_from():
    data = messages(train=4)
    killed = killed_at(2, SETTINGS, data)
    resumed = Memory()
    fine_tune(data, FineTuneSettings(epochs=1), BASE, SEED, resumed, killed.checkpoints[-1])
    assert "starts from the beginning" in resumed.lines[0]
