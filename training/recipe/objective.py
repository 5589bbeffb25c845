"""What an encoder is trained for: what is labeled and how, the probe that its head begins as, and how good it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from core.catalogue import Task
from training.recipe.probe import Probe
from training.recipe.tokens import Indexes, TextTokenizer, TokenizedSplit

E_contra = TypeVar("E_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A probe; what else is known from fitting it, as JSON; and lines for the log."""

    probe: Probe
    facts: Mapping[str, Any]
    lines: Sequence[str]


class Objective(Protocol, Generic[E_contra]):
    """One task for an encoder with a linear head."""

    task: Task
    labels: tuple[str, ...]
    """What the head has an output for, in order."""

    def tokenize(
        self, tokenizer: TextTokenizer, examples: Sequence[E_contra], beat: Callable[[int], None]
    ) -> TokenizedSplit:
        """`examples` as tokens and labels; `beat` is told of rows that are done."""

    def text(self, example: E_contra) -> str:
        """What is read of an example."""

    def probe_rows(self, split: TokenizedSplit, seed: int) -> Indexes:
        """The rows of the training split that the probe is fitted to, ascending."""

    def fit_probe(
        self, features: Tensor, split: TokenizedSplit, rows: Indexes, beat: Callable[[int], None]
    ) -> FittedHead:
        """Fit the probe to `features` [labeled, hidden] of the `rows`; `beat` is told of every chunk's features."""

    def training_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss that is learned from, summed up."""

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The plain loss, summed up."""

    def measure(self, logits: Tensor, split: TokenizedSplit) -> dict[str, float]:
        """How good `logits` [labeled, labels] are, by the name of the curve; the last is what weights are chosen by."""

    def temperature(self, logits: Tensor, split: TokenizedSplit) -> float:
        """What the logits are to be divided by, judging by the validation split."""

    def blind(self, split: TokenizedSplit) -> Tensor:
        """Logits [labeled, labels] of the best answer to all of `split` that reads no text."""

    def evaluate(
        self, logits: Tensor, probe_logits: Tensor, split: TokenizedSplit, seed: int, beat: Callable[[], None]
    ) -> dict[str, Any]:
        """What is told of the test split, of the model and its probe. seed: of the bootstrap."""
