"""The tagger while it is trained: its batches, its gradient, its validation."""

import numpy as np
import torch
from torch import Tensor

from training.pii_model.model import TaggerModel
from training.pii_model.tokens import TAGS
from training.recipe.batches import by_length, cut, epoch_batches, pad
from training.recipe.tokens import Indexes, TokenizedSplit
from training.recipe.trainer import Validated

_TOKEN_BUDGET = 2048


class TaggerLearner:
    """Trains `model`; see training.recipe.trainer.Learner. allowed: [targets, tags], see Targets."""

    def __init__(
        self,
        model: TaggerModel,
        train: TokenizedSplit,
        validation: TokenizedSplit,
        allowed: np.ndarray,
        batch_rows: int,
    ) -> None:
        self._model = model
        self._train = train
        self._validation = validation
        self._batch_rows = batch_rows
        self._device = model.head.weight.device
        self._barred = torch.zeros(allowed.shape, device=self._device)
        self._barred[torch.from_numpy(~allowed).to(self._device)] = float("-inf")

    def trained(self) -> dict[str, Tensor]:
        return self._model.trained()

    def batches(self, seed: int, epoch: int) -> list[Indexes]:
        return epoch_batches(self._train.lengths, self._batch_rows, seed, epoch)

    def learn(self, batch: Indexes, step: int) -> tuple[float, int]:
        split = self._train
        count = len(split.labeled(batch))
        total = 0.0
        for piece in cut(batch, split.lengths, _TOKEN_BUDGET):
            loss = self._loss(self._logits(split, piece), split, piece)
            (loss / max(1, count)).backward()
            total += float(loss.detach())
        return total, count

    @torch.no_grad()
    def validate(self, step: int) -> Validated:
        """The loss, and how many words that are personal data are found as such, of whatever kind."""
        split = self._validation
        loss, found, there, right = 0.0, 0, 0, 0
        for batch in by_length(split.lengths, _TOKEN_BUDGET):
            logits = self._logits(split, batch)
            loss += float(self._loss(logits, split, batch))
            truth = split.labels[split.labeled(batch)]
            is_personal = (truth > 0) & (truth < len(TAGS))
            is_found = logits.argmax(1).cpu().numpy() > 0
            found += int(is_found.sum())
            there += int(is_personal.sum())
            right += int((is_found & is_personal).sum())
        precision, recall = right / max(1, found), right / max(1, there)
        metrics = {"precision": precision, "recall": recall}
        words = f"precision {precision:.1%}, recall {recall:.1%}"
        return Validated(step, loss / max(1, len(split.labels)), metrics, precision + recall, words)

    def resume(self, epochs: float, validations: int) -> None:
        """Training takes minutes, and starts anew."""

    def _logits(self, split: TokenizedSplit, indexes: Indexes) -> Tensor:
        places = split.places_in(indexes)
        assert places is not None
        logits: Tensor = self._model(*pad(split, indexes, self._device), places)
        return logits

    def _loss(self, logits: Tensor, split: TokenizedSplit, indexes: Indexes) -> Tensor:
        """Minus the logarithm of the probability that a word has one of the tags that its target stands for, summed up."""
        targets = torch.from_numpy(split.labels[split.labeled(indexes)]).to(self._device)
        right = (logits + self._barred[targets]).logsumexp(1)
        return (logits.logsumexp(1) - right).sum()
