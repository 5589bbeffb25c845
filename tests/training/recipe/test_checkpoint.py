import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.recipe.checkpoint import Checkpoint, UnreadableCheckpoint, under


def test_what_was_saved_is_read_to_the_bit():
    tensors = under("model", {"weight": torch.randn(3, 2), "step": torch.tensor(4.0)})
    values = {"loss": 0.1 + 0.2, "best": None, "label": "ä"}
    read = Checkpoint.decode(Checkpoint(tensors, values).encode("mine"), "mine")
    assert read.values == values
    assert all(torch.equal(tensor, read.tensors[name]) for name, tensor in tensors.items())
    assert set(read.part("model")) == {"weight", "step"}


def test_another_fine_tunes_checkpoint_is_refused():
    with pytest.raises(UnreadableCheckpoint):
        Checkpoint.decode(Checkpoint({}).encode("theirs"), "mine")


@given(st.binary(max_size=200))
def test_whatever_is_no_checkpoint_is_refused(data):
    with pytest.raises(UnreadableCheckpoint):
        Checkpoint.decode(data, "mine")


def test_a_checkpoint_that_was_cut_off_is_refused():
    data = Checkpoint({"weight": torch.ones(9)}).encode("mine")
    with pytest.raises(UnreadableCheckpoint):
        Checkpoint.decode(data[:-1], "mine")
