"""A decoder while it is trained: its batches, its gradient, its validation."""

import torch
from torch import Tensor

from training.recipe.batches import epoch_batches
from training.recipe.chat.decoder import Decoder
from training.recipe.chat.frozen import TOKEN_BUDGET, FrozenDecoder
from training.recipe.chat.packing import cut
from training.recipe.progress import Progress, Stage
from training.recipe.tokens import Indexes
from training.recipe.trainer import Validated


class ChatLearner:
    """Trains `decoder` to say what the assistant said; see training.recipe.trainer.Learner.

    The weights with the lowest loss are chosen: with no labels to count, how likely the answers are is all there is.
    """

    def __init__(
        self,
        decoder: Decoder,
        train: FrozenDecoder,
        validation: FrozenDecoder | None,
        batch_rows: int,
        progress: Progress,
    ) -> None:
        self._decoder = decoder
        self._train = train
        self._validation = validation
        self._batch_rows = batch_rows
        self._progress = progress
        self._said = train.split.said_by_row

    def trained(self) -> dict[str, Tensor]:
        return self._decoder.trained()

    def batches(self, seed: int, epoch: int) -> list[Indexes]:
        return epoch_batches(self._train.split.lengths, self._batch_rows, seed, epoch)

    def learn(self, batch: Indexes, step: int) -> tuple[float, int]:
        said = int(self._said[batch].sum())
        total = 0.0
        for piece in cut(batch, self._train.split, TOKEN_BUDGET):
            hidden, packed = self._train(piece)
            loss = self._decoder.losses(hidden, packed.layout, packed.targets).sum()
            (loss / said).backward()
            total += float(loss.detach())
            self._progress.advance(Stage.TRAINING, self._train.split.branch_tokens(piece))
        return total, said

    @torch.no_grad()
    def validate(self, step: int) -> Validated | None:
        if self._validation is None:
            return None
        total = 0.0
        for piece in self._validation.pieces():
            hidden, packed = self._validation(piece)
            total += float(self._decoder.losses(hidden, packed.layout, packed.targets).sum())
            self._progress.advance(Stage.VALIDATION, self._validation.split.branch_tokens(piece))
        loss = total / self._validation.split.said
        return Validated(step, loss, {}, -loss, f"loss {loss:.3f}")

    def resume(self, epochs: float, validations: int) -> None:
        self._progress.resume(Stage.TRAINING, epochs * self._train.split.all_branch_tokens)
        if self._validation is not None:
            done = validations * self._validation.split.all_branch_tokens
            self._progress.resume(Stage.VALIDATION, done)
