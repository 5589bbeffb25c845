"""The split: reproducible, without leaks, about 80/10/10 in every label."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.normalise import text_key
from training.data.splits import LEFT_OUT, TEST, TRAIN, VALIDATION, joined_keys, split_rows

ROWS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=1, max_size=300)
NAMES = ["b", "a", "d", "c"]


def arrays(rows):
    keys = np.array([text_key(f"text {text}") for text, _ in rows], dtype=np.uint64)
    return keys, np.array([label for _, label in rows], dtype=np.uint32)


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_the_same_text_is_never_in_two_splits(rows):
    keys, labels = arrays(rows)
    codes = split_rows(keys, labels, NAMES)
    for key in set(keys.tolist()):
        assert len(set(codes[keys == key].tolist())) == 1


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_rows_and_of_labels_plays_no_part(rows, random):
    keys, labels = arrays(rows)
    codes = split_rows(keys, labels, NAMES)
    order = list(range(len(rows)))
    random.shuffle(order)
    renumbered = np.array([sorted(NAMES).index(NAMES[label]) for label in labels])
    again = split_rows(keys[order], renumbered[order].astype(np.uint32), sorted(NAMES))
    assert (again == codes[order]).all()


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_a_label_with_three_texts_of_its_own_is_in_every_split(rows):
    rows = [(text * 4 + label, label) for text, label in rows]
    keys, labels = arrays(rows)
    codes = split_rows(keys, labels, NAMES)
    for label in set(labels.tolist()):
        own = labels == label
        if len(set(keys[own].tolist())) >= 3:
            assert set(codes[own].tolist()) == {TRAIN, VALIDATION, TEST}
        else:
            assert TRAIN in codes[own]


def test_different_texts_are_split_80_10_10_in_every_label():
    rows = [(number, number % 4) for number in range(4000)]
    keys, labels = arrays(rows)
    codes = split_rows(keys, labels, NAMES)
    for label in range(4):
        assert np.bincount(codes[labels == label]).tolist() == [800, 100, 100]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=100)
)
@settings(max_examples=100, deadline=None)
def test_an_own_split_is_kept_but_for_leaks(rows):
    keys, labels = arrays([(text, label) for text, label, _ in rows])
    own = np.array([split for *_, split in rows], dtype=np.int8)
    codes = split_rows(keys, labels, NAMES, own)
    for key in set(keys.tolist()):
        here = keys == key
        kept = set(codes[here].tolist()) - {LEFT_OUT}
        assert len(kept) == 1
        if own[here].max() != TRAIN:
            # The split that has to stay untouched keeps the text.
            assert (codes[here] == np.where(own[here] == own[here].max(), own[here], LEFT_OUT)).all()


def test_a_missing_validation_split_is_taken_from_the_training_rows():
    rows = [(number, number % 2) for number in range(200)]
    keys, labels = arrays(rows)
    own = np.array([TEST if number < 40 else TRAIN for number in range(200)], dtype=np.int8)
    codes = split_rows(keys, labels, NAMES, own)
    assert (codes[:40] == TEST).all()
    assert np.bincount(codes[40:]).tolist() == [144, 16]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_rows_that_either_key_holds_for_equal_are_joined_and_no_others(pairs):
    first, second = (np.array(column, dtype=np.uint64) for column in zip(*pairs, strict=True))
    joined = joined_keys(first, second)
    linked = np.equal.outer(first, first) | np.equal.outer(second, second)
    reachable = np.linalg.matrix_power(linked.astype(np.int64), len(pairs)) > 0
    assert (np.equal.outer(joined, joined) == reachable).all()
