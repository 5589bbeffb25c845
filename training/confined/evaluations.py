"""The shape of an evaluation from the process that trains: what pages and the API read of it is there, of its kind."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.catalogue import Task
from training.confined.errors import Refused

_LONGEST_REASON = 1000

# A dict: these names and no others; a list of one: any number of such; a type: a value of it (float: any number).
_INTERVAL = {"value": float, "low": float, "high": float}
_KIND = {"label": str, "precision": float, "recall": float, "f1": float, "support": int}

_TESTS: dict[Task, dict[str, Any]] = {
    Task.CLASSIFICATION: {
        "rows": int,
        "accuracy": _INTERVAL,
        "macro_f1": _INTERVAL,
        "calibration_error": float,
        "per_class": [_KIND],
        "confusion": [[int]],
    },
    Task.MULTI_LABEL: {
        "rows": int,
        "micro_f1": _INTERVAL,
        "macro_f1": _INTERVAL,
        "exact_match": float,
        "per_class": [_KIND],
    },
    Task.TAGGING: {
        "rows": int,
        "tokens": int,
        "f1": _INTERVAL,
        "precision": float,
        "recall": float,
        "per_entity": [_KIND],
    },
    Task.CHAT: {
        "rows": int,
        "tokens": int,
        "loss": float,
        "perplexity": float,
        "base_loss": float,
        "base_perplexity": float,
    },
}
_PROBES: dict[Task, dict[str, Any]] = {
    Task.CLASSIFICATION: {"accuracy": float, "macro_f1": float},
    Task.MULTI_LABEL: {"micro_f1": float, "macro_f1": float},
    Task.TAGGING: {"f1": float},
}
_LISTS: dict[str, Any] = {
    "label_errors": [{"row": int, "label": str, "suggested": str, "confidence": float}],
    "samples": [{"row": int, "prompt": str, "expected": str, "answer": str, "base_answer": str}],
}


def check(evaluation: object, task: Task, labels: Sequence[str], promotable: object) -> None:
    """Raises Refused unless `evaluation`, which is JSON, is one of a model for `task` with these `labels`, and says of its
    promotion what `promotable` does. What it says beyond that is nobody's business here."""
    if not isinstance(evaluation, dict) or not _has_parts(evaluation, task):
        raise Refused("wrong_evaluation")
    if task is not Task.CHAT and (sorted(evaluation.get("labels", ())) != sorted(labels)):
        raise Refused("wrong_evaluation")
    if task is Task.CLASSIFICATION and not _is_square(evaluation["test"]["confusion"], len(labels)):
        raise Refused("wrong_evaluation")
    match evaluation.get("promotion"):
        case {"promotable": bool(said), "reason": reason} if said is promotable:
            if reason is None or (isinstance(reason, str) and len(reason) <= _LONGEST_REASON):
                return
    raise Refused("wrong_evaluation")


def _has_parts(evaluation: Mapping[str, Any], task: Task) -> bool:
    return (
        evaluation.get("task", Task.CLASSIFICATION.value) == task.value
        and _fits(evaluation.get("test"), _TESTS[task])
        and (task not in _PROBES or _fits(evaluation.get("probe"), _PROBES[task]))
        and all(_fits(evaluation.get(name, []), shape) for name, shape in _LISTS.items())
    )


def _fits(value: Any, shape: Any) -> bool:
    match shape:
        case dict():
            names = isinstance(value, dict) and value.keys() == shape.keys()
            return names and all(_fits(value[name], one) for name, one in shape.items())
        case [inner]:
            return isinstance(value, list) and all(_fits(one, inner) for one in value)
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float if shape is float else shape)


def _is_square(matrix: Sequence[Sequence[int]], size: int) -> bool:
    return len(matrix) == size and all(len(row) == size for row in matrix)
