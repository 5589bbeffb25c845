"""What the detector finds, and what a tenant wants found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Personal data in a text: characters `start` to `end` (exclusive), of kind `entity`.

    `score` (0 to 1) says how sure the detector is: 1 for a number whose checksum is right.
    """

    start: int
    end: int
    entity: str
    score: float


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a tenant's policy: which `entities` are replaced, but for values on the `allow_list`.

    Version 0 is the policy of a tenant that has never set one.
    """

    entities: frozenset[str]
    allow_list: frozenset[str] = frozenset()
    enabled: bool = True
    version: int = 0
