"""Values that come from the process that trains, taken for what anybody could have sent."""

import math
from typing import Any

from training.confined.errors import Refused

_DEEPEST = 12
_MOST_VALUES = 1_500_000  # a matrix of a thousand labels by a thousand, and what stands beside it
_LONGEST_TEXT = 100_000
_LONGEST_KEY = 200
_LARGEST_WHOLE = 1 << 63


def whole(value: object, name: str, low: int, high: int) -> int:
    """`value` if it is a whole number from `low` to `high`. Raises Refused."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"wrong_{name}")
    return value


def number(value: object, name: str, low: float, high: float) -> float:
    """`value` as a float if it is a number from `low` to `high`. Raises Refused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused(f"wrong_{name}")
    return float(value)


def line(value: object, name: str, longest: int) -> str:
    """`value` as a line of text: what cannot be printed is a space, what is longer than `longest` cut. Raises Refused."""
    if not isinstance(value, str) or not value:
        raise Refused(f"wrong_{name}")
    return "".join(letter if letter.isprintable() else " " for letter in value[:longest])


def json_object(value: object, name: str) -> dict[str, Any]:
    """`value` if it is an object of JSON of bounded size, its texts fit for a database. Raises Refused."""
    if not isinstance(value, dict):
        raise Refused(f"wrong_{name}")
    copied: dict[str, Any] = _Copy(name).of(value, 0)
    return copied


class _Copy:
    """Copies JSON while it counts."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values = 0

    def of(self, value: object, depth: int) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES or depth > _DEEPEST:
            raise Refused(f"{self._name}_too_large")
        match value:
            case dict():
                return {self._text(key, _LONGEST_KEY): self.of(one, depth + 1) for key, one in value.items()}
            case list():
                return [self.of(one, depth + 1) for one in value]
            case str():
                return self._text(value, _LONGEST_TEXT)
            case None | bool():
                return value
            case int() if abs(value) < _LARGEST_WHOLE:
                return value
            case float() if math.isfinite(value):
                return value
        raise Refused(f"wrong_{self._name}")

    def _text(self, value: object, longest: int) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise Refused(f"wrong_{self._name}")
        # Postgres has neither in its JSON.
        return value.replace("\0", "�").encode(errors="replace").decode()
