"""Stand-ins for the recipe: quick, and broken in one way each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.models.fine_tune_jobs import JobStatus

TOKENS = 1200


@dataclass
class Result:
    """What training.recipe.by_task.fine_tune gives back."""

    adapter_file: bytes = b"weights"
    evaluation: dict[str, Any] = field(
        default_factory=lambda: {"promotion": {"promotable": True, "reason": None}}
    )
    promotable: bool = True
    rank: int | None = 8
    training_tokens: int = TOKENS


@dataclass
class Recipe:
    """Goes through the phases with `steps` steps, each with a metric and a checkpoint that holds its number.

    `at_step` is called before each with its number and the monitor. What it was called with, and from which step it
    went on, is in `calls`.
    """

    steps: int = 3
    at_step: Callable[[int, Any], object] = lambda step, monitor: None
    result: Result = field(default_factory=Result)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, data, settings, base, seed, monitor, checkpoint=None):
        self.calls.append({"data": data, "settings": settings, "seed": seed, "checkpoint": checkpoint})
        first = int(checkpoint or 0) + 1
        monitor.will_read(self.result.training_tokens)
        monitor.phase(JobStatus.TRAINING, "Training")
        for step in range(first, self.steps + 1):
            self.at_step(step, monitor)
            monitor.metric("train_loss", step, step / self.steps, 1 / step)
            monitor.beat(step / self.steps, self.steps - step)
            monitor.save_checkpoint(str(step).encode())
        monitor.phase(JobStatus.EVALUATING, "Evaluating")
        monitor.metric("validation_accuracy", self.steps, 1.0, 0.9)
        return self.result


def at(number: int, do: Callable[[], object]) -> Callable[[int, Any], object]:
    """For `at_step`: call `do` before step `number`."""
    return lambda step, _monitor: do() if step == number else None


def fail_with(error: BaseException) -> Callable[[], None]:
    def fail():
        raise error

    return fail


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs."""
