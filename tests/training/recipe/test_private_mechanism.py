"""What differential privacy rests on: the accounting, the sampling, the noise, and the clipping of each record."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import RDPAccountant
from scipy.stats import kstest, norm

from training.recipe.private.gradient import NoisySum
from training.recipe.private.mechanism import Mechanism, delta_for, epsilon_after
from training.recipe.private.randomness import Randomness
from training.recipe.schedule import PRIVATE, Schedule
from training.recipe.settings import FineTuneSettings

FIXED = Randomness(bytes(range(32)))
PLAIN = Mechanism(records=4, sampling_rate=1.0, noise_multiplier=0.0, clipping_norm=1.0, steps=1, delta=0.01)


def test_epsilon_is_what_opacus_counts_step_by_step():
    accountant = RDPAccountant()
    for _ in range(150):
        accountant.step(noise_multiplier=1.1, sample_rate=0.05)
    assert epsilon_after(150, 1.1, 0.05, 1e-4) == pytest.approx(accountant.get_epsilon(1e-4), rel=1e-12)


@pytest.mark.parametrize(("noise", "steps"), [(2.0, 1), (5.0, 10), (10.0, 100)])
def test_epsilon_without_sampling_is_a_tight_bound_of_the_gaussian_mechanisms_own(noise, steps):
    """Whose exact δ for an ε is known in closed form (Balle and Wang 2018, theorem 8)."""
    shift, delta = math.sqrt(steps) / noise, 1e-5

    def exact_delta(epsilon: float) -> float:
        half, ratio = shift / 2, epsilon / shift
        return float(norm.cdf(half - ratio) - math.exp(epsilon) * norm.cdf(-half - ratio))

    epsilon = epsilon_after(steps, noise, 1.0, delta)
    assert exact_delta(epsilon) <= delta
    assert exact_delta(epsilon * 0.85) > delta


def test_nothing_is_spent_before_the_first_step():
    assert epsilon_after(0, 1.0, 0.5, 1e-3) == 0.0


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0, 20.0])
@pytest.mark.parametrize("records", [100, 5000])
def test_the_noise_is_the_least_that_keeps_to_the_epsilon(epsilon, records):
    schedule = Schedule.of(FineTuneSettings(epochs=5, epsilon=epsilon), PRIVATE, records)
    beats: list[None] = []
    mechanism = Mechanism.within(epsilon, records, schedule, lambda: beats.append(None))
    assert epsilon * 0.99 <= mechanism.epsilon <= epsilon
    assert (mechanism.steps, mechanism.delta) == (schedule.steps, delta_for(records))
    assert beats


def test_a_mechanism_survives_json():
    assert Mechanism.from_json(PLAIN.to_json()) == PLAIN


def test_a_sample_takes_each_row_as_often_as_the_rate_says():
    steps, rows, rate = 4000, 50, 0.2
    taken = np.zeros((steps, rows))
    for step in range(steps):
        taken[step, FIXED.sample(step, rows, rate)] = 1
    deviation = math.sqrt(rate * (1 - rate) / steps)
    assert np.abs(taken.mean(0) - rate).max() < 5 * deviation


def test_the_size_of_a_sample_varies_as_that_of_independent_draws():
    sizes = np.array([len(FIXED.sample(step, 50, 0.2)) for step in range(4000)])
    assert sizes.mean() == pytest.approx(10, abs=0.25)
    assert sizes.var() == pytest.approx(8, rel=0.15)


def test_a_rate_of_one_takes_every_row():
    assert list(FIXED.sample(3, 5, 1.0)) == [0, 1, 2, 3, 4]


def test_noise_is_standard_normal():
    assert kstest(FIXED.noise(0, 100_001), "norm").pvalue > 0.01


def test_no_noise_serves_two_steps_or_two_fine_tunes():
    same, next_step = FIXED.noise(7, 1000), FIXED.noise(8, 1000)
    other = Randomness.drawn().noise(7, 1000)
    assert np.array_equal(same, FIXED.noise(7, 1000))
    assert not np.intersect1d(same, next_step).size
    assert not np.intersect1d(same, other).size


def summed(gradients: list[torch.Tensor], mechanism: Mechanism = PLAIN, step: int = 0) -> torch.Tensor:
    """What the optimizer reads of one parameter after a step with these records' gradients."""
    parameter = torch.zeros(gradients[0].shape[1:] if gradients else (3,))
    collected = NoisySum([parameter], mechanism, FIXED)
    for gradient in gradients:
        collected.add([gradient])
    collected.finish(step)
    assert parameter.grad is not None
    return parameter.grad


number = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(number, min_size=3, max_size=3), min_size=1, max_size=6), st.floats(0.01, 100))
def test_no_record_moves_a_sum_by_more_than_the_clipping_norm(records, clipping_norm):
    mechanism = replace(PLAIN, clipping_norm=clipping_norm)
    rows = torch.tensor(records)
    with_all = summed([rows], mechanism) * mechanism.expected_rows
    without_last = summed([rows[:-1]], mechanism) * mechanism.expected_rows
    assert float((with_all - without_last).norm()) <= clipping_norm * (1 + 1e-4)


def test_a_gradient_within_the_norm_is_left_as_it_is():
    small = torch.tensor([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]])
    assert torch.allclose(summed([small]), small.sum(0) / 4)


def test_a_records_norm_is_over_all_parameters_together():
    first, second = torch.zeros(2), torch.zeros(1)
    collected = NoisySum([first, second], replace(PLAIN, records=1), FIXED)
    collected.add([torch.tensor([[3.0, 0.0]]), torch.tensor([[4.0]])])
    collected.finish(0)
    assert first.grad is not None
    assert second.grad is not None
    assert torch.allclose(torch.cat([first.grad, second.grad]), torch.tensor([0.6, 0.0, 0.8]))


def test_records_in_several_pieces_are_summed_up():
    one, other = torch.tensor([[0.1, 0.0, 0.0]]), torch.tensor([[0.0, 0.2, 0.0]])
    assert torch.equal(summed([one, other]), summed([torch.cat([one, other])]))


def test_the_noise_has_the_multipliers_size_and_comes_without_any_record():
    mechanism = replace(PLAIN, noise_multiplier=3.0, clipping_norm=0.5)
    parameter = torch.zeros(20_000)
    NoisySum([parameter], mechanism, FIXED).finish(1)
    assert parameter.grad is not None
    assert float(parameter.grad.std()) == pytest.approx(3.0 * 0.5 / 4, rel=0.03)


def test_a_step_begins_with_nothing_of_the_one_before():
    parameter = torch.zeros(2)
    collected = NoisySum([parameter], PLAIN, FIXED)
    collected.add([torch.tensor([[0.5, 0.5]])])
    collected.finish(0)
    collected.finish(1)
    assert parameter.grad is not None
    assert float(parameter.grad.norm()) == 0.0
