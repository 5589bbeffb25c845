import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from training.recipe.classification import evaluation

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60).map(np.array)


@given(PAIRS)
def test_accuracy_and_macro_f1_are_scikit_learns(pairs):
    truth, guesses = pairs.T
    confusion = evaluation.confusion_matrix(truth, guesses, 4)
    assert confusion.tolist() == confusion_matrix(truth, guesses, labels=range(4)).tolist()
    assert evaluation.accuracy(confusion) == pytest.approx(accuracy_score(truth, guesses))
    assert evaluation.macro_f1(confusion) == pytest.approx(f1_score(truth, guesses, average="macro"))


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (475, 500, 0.9272, 0.9659)],
)
def test_wilson_interval(right, rows, low, high):
    assert evaluation.wilson_interval(right, rows) == pytest.approx((low, high), abs=1e-4)


def test_the_bootstrap_follows_from_its_seed_and_holds_the_value():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 200)
    guesses = np.where(random.random(200) < 0.8, truth, 0)
    low, high = evaluation.bootstrap_interval(truth, guesses, 3, 5, lambda: None)
    assert (low, high) == evaluation.bootstrap_interval(truth, guesses, 3, 5, lambda: None)
    assert low < evaluation.macro_f1(evaluation.confusion_matrix(truth, guesses, 3)) < high


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.array([[0.9, 0.1]] * 10)
    truth = np.array([0] * 7 + [1] * 3)
    assert evaluation.calibration_error(probabilities, truth) == pytest.approx(0.2)


def test_a_label_that_never_occurs_is_zero_and_counts_in_no_mean():
    confusion = evaluation.confusion_matrix(np.array([0, 1]), np.array([0, 1]), 3)
    assert evaluation.macro_f1(confusion) == 1.0
    assert evaluation.per_class(confusion, "abc")[2] == {
        "label": "c",
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "support": 0,
    }


def matrix(right: int, wrong: int) -> np.ndarray:
    return np.array([[right, wrong], [0, 5]])


def test_a_model_that_is_right_more_often_may_be_promoted():
    assert evaluation.promotion(matrix(4, 1), matrix(3, 2)) == {"promotable": True, "reason": None}


@pytest.mark.parametrize("model", [matrix(3, 2), matrix(2, 3)], ids=["as good", "worse"])
def test_a_model_that_does_not_beat_its_probe_may_not(model):
    found = evaluation.promotion(model, matrix(3, 2))
    assert not found["promotable"]
    assert "of 10 test rows" in found["reason"]


def test_of_two_that_are_right_equally_often_macro_f1_decides():
    ignores_the_rare, finds_the_rare = np.array([[8, 0], [2, 0]]), np.array([[7, 1], [1, 1]])
    assert evaluation.promotion(finds_the_rare, ignores_the_rare)["promotable"]
    assert not evaluation.promotion(ignores_the_rare, finds_the_rare)["promotable"]
