"""Each setting of sampling does what OpenAI's API says of it."""

from collections import Counter

import pytest
import torch

from inference.pool.chat.sampling import Sampler, Sampling

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0])


def drawn(count: int, logits: torch.Tensor = LOGITS, **settings: float) -> Counter[int]:
    """How often each token is chosen, by samplers of `count` seeds that each choose one."""
    samplers = (Sampler(Sampling(seed=seed, **settings), len(logits)) for seed in range(count))
    return Counter(sampler.choose(logits) for sampler in samplers)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_by_their_probabilities(temperature: float) -> None:
    counts = drawn(4000, temperature=temperature)
    for token, probability in enumerate(torch.softmax(LOGITS / temperature, dim=-1).tolist()):
        # Five standard deviations of a binomial's share.
        assert (
            abs(counts[token] / 4000 - probability)
            < 5 * (probability * (1 - probability) / 4000) ** 0.5 + 1e-3
        )


def test_top_p_leaves_the_fewest_likeliest_tokens() -> None:
    # 0.636, 0.234, 0.086, …
    assert set(drawn(300, top_p=0.6)) == {0}
    assert set(drawn(300, top_p=0.7)) == {0, 1}
    assert set(drawn(300, top_p=0.88)) == {0, 1, 2}
    assert set(drawn(50, top_p=0.0)) == {0}


def test_top_p_counts_over_a_vocabulary_of_equals() -> None:
    counts = drawn(400, logits=torch.zeros(1000), top_p=0.5)
    assert 200 < len(counts) < 500


def test_the_coldest_temperature_is_greedy() -> None:
    assert set(drawn(50, temperature=0.0)) == {0}
    assert set(drawn(50, temperature=1e-30)) == {0}


def test_penalties_count_what_was_chosen() -> None:
    frequency = Sampler(Sampling(temperature=0, frequency_penalty=0.6), 5)
    assert [frequency.choose(LOGITS) for _ in range(5)] == [0, 0, 1, 0, 1]
    presence = Sampler(Sampling(temperature=0, presence_penalty=1.5), 5)
    assert [presence.choose(LOGITS) for _ in range(4)] == [0, 1, 0, 0]
