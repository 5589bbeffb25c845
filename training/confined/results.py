"""What a run comes to, from the process that trains: taken only within the bounds of what was asked for."""

from dataclasses import fields
from typing import Any

from core.models.fine_tune_jobs import Method
from training.confined import adapters, evaluations
from training.confined.checks import json_object, number, whole
from training.confined.errors import Refused
from training.confined.runs import Run
from training.recipe.result import Measurement, Result

MAX_TOKENS = 10**12
_MAX_SECONDS = 10**9
_FILE = "adapter_file"


def to_wire(result: Result | Measurement) -> dict[str, Any]:
    """A result as JSON, but for its adapter's file."""
    return {name: getattr(result, name) for name in _names(type(result))}


def checked_result(values: object, file: bytes, run: Run, announced_tokens: int | None) -> Result:
    """The result of `run`, which has announced how many tokens it would read. Raises Refused."""
    copied = _copied(values, Result)
    if copied["training_tokens"] != announced_tokens:
        raise Refused("other_training_tokens")
    if copied["rank"] != (run.settings.rank if run.settings.method is Method.LORA else None):
        raise Refused("wrong_rank")
    adapters.check(file, run.data.task, run.base, run.settings, run.data.labels)
    evaluations.check(copied["evaluation"], run.data.task, run.data.labels, copied["promotable"])
    return Result(adapter_file=file, **copied)


def checked_measurement(values: object) -> Measurement:
    """Raises Refused."""
    copied = _copied(values, Measurement)
    number(copied["seconds"], "seconds", 0, _MAX_SECONDS)
    return Measurement(**copied)


def _copied(values: object, cls: type[Result | Measurement]) -> dict[str, Any]:
    copied = json_object(values, "result")
    if copied.keys() != _names(cls):
        raise Refused("wrong_result")
    whole(copied["training_tokens"], "training_tokens", 0, MAX_TOKENS)
    return copied


def _names(cls: type[Result | Measurement]) -> set[str]:
    return {field.name for field in fields(cls)} - {_FILE}
