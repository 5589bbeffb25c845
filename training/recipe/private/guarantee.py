"""What a private fine-tune has promised, as its checkpoints keep it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from training.recipe.private.mechanism import Mechanism
from training.recipe.private.randomness import Randomness


@dataclass(frozen=True, slots=True)
class Guarantee:
    """The mechanism, whose ε is known from the number of steps, and the chance that it uses.

    Both are settled before the first step, and an attempt that goes on has them from its checkpoint, together with the
    number of steps: it counts those before it, and repeats what came after the checkpoint as it was.
    """

    mechanism: Mechanism
    randomness: Randomness

    def to_json(self) -> dict[str, Any]:
        return {"mechanism": self.mechanism.to_json(), "key": self.randomness.key.hex()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(Mechanism.from_json(value["mechanism"]), Randomness(bytes.fromhex(value["key"])))
