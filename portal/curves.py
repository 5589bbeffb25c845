"""A job's metrics as charts: the points of several curves over one axis of steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.fine_tunes import Curves, Point

MOST_POINTS = 150
"""Of one curve: more are not to be told apart on a screen, and each is sent again every few seconds."""

LOSS = {"train_loss": "Training", "validation_loss": "Validation"}
QUALITY = {"validation_accuracy": "Accuracy", "validation_macro_f1": "Macro F1", "validation_f1": "F1"}


@dataclass(frozen=True)
class Chart:
    """What templates/macros/charts.html draws: a value for each label, None where a curve has no point there."""

    labels: Sequence[int]
    series: Sequence[Mapping[str, Any]]


def chart(curves: Curves, names: Mapping[str, str]) -> Chart | None:
    """The curves that `names` has titles for, together; None where there is no point yet."""
    shown = {title: _thin(curves[name]) for name, title in names.items() if name in curves}
    if not shown:
        return None
    steps = sorted({point.step for points in shown.values() for point in points})
    series = []
    for title, points in shown.items():
        at = {point.step: round(point.value, 4) for point in points}
        series.append({"name": title, "values": [at.get(step) for step in steps]})
    return Chart(steps, series)


def _thin(points: Sequence[Point]) -> Sequence[Point]:
    """Every n-th point, so that about MOST_POINTS are left; the last one is always among them."""
    stride = -(-len(points) // MOST_POINTS) or 1
    return points[::-1][::stride][::-1]
