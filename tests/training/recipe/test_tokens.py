import numpy as np
import pytest

from inference.pool.base import cut, load_base
from tests.training.recipe.samples import BASE
from training.recipe.classification.objective import Classification
from training.recipe.data import Example
from training.recipe.tokens import TextTokenizer


@pytest.mark.parametrize(
    "text",
    [
        "Where is my parcel?",
        "",
        "word " * 5000,
        " " * 20_000 + "late",
        "a" * 9000,
        "🙂" * 5000,
        "[PERSON] rang",
    ],
    ids=["short", "empty", "long", "far", "one word", "emoji", "placeholder"],
)
def test_a_text_is_read_as_the_pool_reads_it(text):
    [read] = TextTokenizer(BASE).tokenize([text], lambda _: None)
    [ids] = load_base(BASE.id).tokenise([text])
    assert read.tolist() == cut(ids, BASE.max_length)


def test_rows_keep_their_order_labels_and_numbers():
    examples = [Example("one two", "b", 5), Example("three", "a", 9)]
    beats: list[int] = []
    split = Classification(("a", "b")).tokenize(TextTokenizer(BASE), examples, beats.append)
    assert split.labels.tolist() == [1, 0]
    assert split.rows.tolist() == [5, 9]
    assert split.lengths.tolist() == [4, 3]
    assert sum(beats) == 2
    taken = split.take(np.array([1]))
    assert (taken.rows.tolist(), taken.ids.tolist()) == ([9], split.ids[4:].tolist())
