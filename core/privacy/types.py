"""What the detector finds, and what a tenant wants found and how replaced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Operator(StrEnum):
    """What is put in the place of a value."""

    PSEUDONYM = "pseudonym"
    SURROGATE = "surrogate"
    MASK = "mask"
    HASH = "hash"
    DROP = "drop"


class Mode(StrEnum):
    """How hard the detector looks: FAST for a request, which waits for it; STRICT for an upload, which is kept."""

    FAST = "fast"
    STRICT = "strict"


class DetectionFailed(Exception):
    """A text could not be searched, so that nothing may be done with it. Says nothing of the text."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Personal data in a text: characters `start` to `end` (exclusive), of kind `entity`.

    `score` (0 to 1) says how sure the detector is: 1 for a number whose checksum is right.
    """

    start: int
    end: int
    entity: str
    score: float

    def overlaps(self, other: "Finding") -> bool:
        """Whether both have a character in common."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a policy: which `entities` are replaced, but for values on the `allow_list`, and how.

    Values on the `deny_list` are replaced wherever they stand, as entity CUSTOM. `operators` names the entities that
    are replaced by another operator than a pseudonym. Version 0 is the policy of a tenant that has never set one.
    """

    entities: frozenset[str]
    allow_list: frozenset[str] = frozenset()
    enabled: bool = True
    version: int = 0
    deny_list: frozenset[str] = frozenset()
    operators: Mapping[str, Operator] = field(default_factory=dict)

    def operator(self, entity: str) -> Operator:
        """How values of `entity` are replaced."""
        return self.operators.get(entity, Operator.PSEUDONYM)
