"""Evaluations and curves as pages read them."""

from portal.curves import LOSS, MOST_POINTS, chart
from portal.evaluations import LARGEST_MATRIX, Classification, Confusion, read
from portal.fine_tunes import Point
from tests.portal.trained import evaluation


def of_labels(count: int) -> Classification:
    """An evaluation with `count` labels, each taken for the next one once."""
    labels = [f"label {number}" for number in range(count)]
    stored = evaluation()
    stored["labels"] = labels
    stored["test"]["confusion"] = [
        [1 if column in (row, (row + 1) % count) else 0 for column in range(count)] for row in range(count)
    ]
    found = read(stored)
    assert isinstance(found, Classification)
    return found


def test_before_the_test_there_is_no_evaluation():
    assert read(None) is None
    assert read({}) is None
    assert read({"probe": {"accuracy": 0.9}}) is None


def test_the_gain_over_the_probe_can_be_negative_or_unknown():
    worse, unknown = evaluation(accuracy=0.7, probe=0.8), evaluation()
    unknown["probe"] = None
    found, without = read(worse), read(unknown)
    assert isinstance(found, Classification)
    assert round(found.gain or 0, 6) == -0.1
    assert isinstance(without, Classification)
    assert without.gain is None


def test_the_worst_confusions_come_first():
    stored = evaluation()
    stored["test"]["confusion"] = [[9, 1], [4, 6]]
    found = read(stored)
    assert isinstance(found, Classification)
    assert found.mistakes == 5
    assert found.worst_confusions == [
        Confusion("refund", "delivery", 4, 10),
        Confusion("delivery", "refund", 1, 10),
    ]


def test_a_matrix_of_very_many_labels_is_left_out_for_more_of_the_pairs():
    few, many = of_labels(5), of_labels(LARGEST_MATRIX + 1)
    assert few.has_readable_matrix
    assert not many.has_readable_matrix
    assert len(many.worst_confusions) > len(few.worst_confusions)


def test_curves_share_an_axis_and_have_no_value_where_they_have_no_point():
    curves = {
        "train_loss": [Point(10, 0.5, 1.0), Point(20, 1.0, 0.5)],
        "validation_loss": [Point(20, 1.0, 0.6)],
        "validation_accuracy": [Point(20, 1.0, 0.9)],
    }
    found = chart(curves, LOSS)
    assert found is not None
    assert found.labels == [10, 20]
    assert found.series == [
        {"name": "Training", "values": [1.0, 0.5]},
        {"name": "Validation", "values": [None, 0.6]},
    ]


def test_without_a_point_there_is_no_chart():
    assert chart({}, LOSS) is None


def test_a_long_curve_is_thinned_and_keeps_its_last_point():
    points = [Point(step, step / 1000, 1.0) for step in range(1, 1001)]
    found = chart({"train_loss": points}, LOSS)
    assert found is not None
    assert len(found.labels) <= MOST_POINTS
    assert found.labels[-1] == 1000
