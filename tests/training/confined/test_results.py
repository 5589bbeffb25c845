"""An evaluation and what goes with it: taken only in the shape that pages read, and within bounds."""

import copy
from typing import Any

import pytest

from core.catalogue import Task
from training.confined import evaluations
from training.confined.checks import json_object
from training.confined.errors import Refused

_INTERVAL = {"value": 0.9, "low": 0.8, "high": 1.0}
_KIND = {"precision": 1.0, "recall": 1, "f1": 1.0, "support": 3}
HONEST: dict[str, Any] = {
    "labels": ["a", "b"],
    "test": {
        "rows": 6,
        "accuracy": _INTERVAL,
        "macro_f1": _INTERVAL,
        "calibration_error": 0.1,
        "per_class": [{"label": label, **_KIND} for label in "ab"],
        "confusion": [[3, 0], [0, 3]],
    },
    "probe": {"accuracy": 0.5, "macro_f1": 0.5},
    "promotion": {"promotable": True, "reason": None},
    "label_errors": [{"row": 1, "label": "a", "suggested": "b", "confidence": 0.99}],
    "validation": {"anything": ["else"]},
}


def check(evaluation: object, promotable: bool = True) -> None:
    evaluations.check(evaluation, Task.CLASSIFICATION, ("a", "b"), promotable)


def changed(*path: str, to: Any) -> dict[str, Any]:
    """HONEST with another value at `path`."""
    evaluation = copy.deepcopy(HONEST)
    at: Any = evaluation
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = to
    return evaluation


def test_an_honest_one_is_taken():
    check(HONEST)


@pytest.mark.parametrize(
    "evaluation",
    [
        None,
        [],
        {},
        changed("task", to="chat"),
        changed("labels", to=["a"]),
        changed("test", to={}),
        changed("test", "rows", to="6"),
        changed("test", "rows", to=True),
        changed("test", "accuracy", to={**_INTERVAL, "note": "more"}),
        changed("test", "per_class", to=[{"label": "a"}]),
        changed("test", "confusion", to=[[3, 0]]),
        changed("test", "confusion", to=[[3, 0], [0, "3"]]),
        changed("test", "text", to="a tenant's"),
        changed("probe", to=None),
        changed("label_errors", to="none"),
        changed("promotion", to={"promotable": "yes", "reason": None}),
        changed("promotion", to={"promotable": False, "reason": None}),
        changed("promotion", to={"promotable": True, "reason": "x" * 2000}),
    ],
)
def test_one_that_a_page_could_not_show_is_refused(evaluation):
    with pytest.raises(Refused):
        check(evaluation)


def nested(depth: int) -> dict[str, Any]:
    return {"deeper": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 1 << 64},
        {"a": "x" * 200_000},
        {"k" * 300: 1},
        {"a": [0] * 2_000_000},
        nested(20),
    ],
    ids=["none", "list", "nan", "infinity", "huge", "long", "long key", "many", "deep"],
)
def test_json_without_bounds_is_refused(value):
    with pytest.raises(Refused):
        json_object(value, "result")


def test_texts_become_what_a_database_can_hold():
    assert json_object({"a\0": ["\ud83d", "ä"]}, "result") == {"a�": ["?", "ä"]}
