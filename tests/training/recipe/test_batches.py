import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.recipe.batches import by_length, epoch_batches, token_mask

LENGTHS = st.lists(st.integers(3, 256), min_size=1, max_size=300).map(np.array)


@given(LENGTHS, st.integers(3, 2048))
def test_batches_by_length_hold_every_row_once_within_the_budget(lengths, budget):
    batches = list(by_length(lengths, budget))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= budget for batch in batches)


@given(LENGTHS, st.integers(1, 64), st.integers(0, 2**31), st.integers(0, 9))
def test_an_epoch_holds_every_row_once(lengths, rows, seed, epoch):
    batches = epoch_batches(lengths, rows, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // rows)


def test_an_epoch_follows_from_seed_and_number():
    lengths = np.random.default_rng(0).integers(3, 40, 500)
    first, again, other = (np.concatenate(epoch_batches(lengths, 32, 1, epoch)) for epoch in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_hardly_anything_is_padding():
    lengths = np.random.default_rng(0).integers(3, 40, 2000)
    batches = epoch_batches(lengths, 32, 1, 0)
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    assert padded < 1.1 * lengths.sum()


def test_the_mask_covers_each_rows_tokens():
    assert token_mask(np.array([1, 3])).tolist() == [[True, False, False], [True, True, True]]
