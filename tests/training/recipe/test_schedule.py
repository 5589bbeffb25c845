import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models.fine_tune_jobs import Method
from training.recipe.schedule import ENCODER, Schedule
from training.recipe.settings import FineTuneSettings


@given(st.integers(2, 10_000_000))
def test_little_data_is_read_more_often(rows):
    epochs = Schedule.of(FineTuneSettings(), ENCODER, rows).epochs
    assert 2 <= epochs <= 8
    assert epochs >= Schedule.of(FineTuneSettings(), ENCODER, rows * 2).epochs


@pytest.mark.parametrize("method", Method)
def test_what_was_chosen_holds(method):
    schedule = Schedule.of(FineTuneSettings(method=method, epochs=3, learning_rate=1e-4), ENCODER, 500)
    assert (schedule.epochs, schedule.learning_rate) == (3, 1e-4)


@given(st.integers(2, 5000))
def test_the_learning_rate_rises_to_its_highest_and_falls_and_is_never_nothing(rows):
    schedule = Schedule.of(FineTuneSettings(), ENCODER, rows)
    factors = [schedule.factor(step) for step in range(schedule.steps)]
    highest = factors.index(max(factors))
    assert factors[highest] == pytest.approx(1.0)
    assert factors[:highest] == sorted(factors[:highest])
    assert factors[highest:] == sorted(factors[highest:], reverse=True)
    assert min(factors) > 0


@given(st.integers(2, 200_000))
def test_every_epoch_ends_with_a_validation(rows):
    schedule = Schedule.of(FineTuneSettings(epochs=2), ENCODER, rows)
    assert schedule.is_validated(schedule.epoch_steps)
    assert schedule.is_validated(schedule.steps)
    within = sum(schedule.is_validated(step) for step in range(1, schedule.epoch_steps + 1))
    assert within == schedule.epoch_validations
