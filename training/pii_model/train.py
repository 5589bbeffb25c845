"""Training the tagger, from nothing to its adapter's file."""

import json
from collections.abc import Callable

import torch
from safetensors.torch import save

from core.catalogue import BaseModel
from core.privacy.reading import SHAPES, Reader
from training.pii_model.data import Data
from training.pii_model.learner import TaggerLearner
from training.pii_model.model import RANK, TaggerModel
from training.pii_model.tokens import TAGS, Targets, tokenize
from training.recipe.artifact import with_sorted_header
from training.recipe.device import choose_device
from training.recipe.encoder import alpha
from training.recipe.monitor import Silent
from training.recipe.schedule import Schedule
from training.recipe.trainer import Trainer

FORMAT = "adaptary-tagger/1"
# Less than a tenant's fine-tune takes, which begins from a probe and changes the upper layers only: with that rate one
# training in three forgot everything in its first hundred steps.
_LEARNING_RATE = 1.2e-3
_LINES = 12


def train(
    data: Data,
    base: BaseModel,
    *,
    layers: int,
    batch_rows: int,
    seed: int,
    tell: Callable[[str], None],
) -> bytes:
    """The file of the adapter that `data` gives, read once. `tell` gets a line now and then."""
    torch.manual_seed(seed)
    reader = Reader(base.verify() / "tokenizer.json")
    targets = Targets([*data.train, *data.validation])
    model = TaggerModel(base, layers, choose_device())
    learner = TaggerLearner(
        model,
        tokenize(reader, data.train, targets),
        tokenize(reader, data.validation, targets),
        targets.allowed,
        batch_rows,
    )
    schedule = Schedule(
        batch_rows=batch_rows,
        epochs=1,
        epoch_steps=-(-len(data.train) // batch_rows),
        learning_rate=_LEARNING_RATE,
        head_learning_rate=_LEARNING_RATE,
    )
    trainer = Trainer(learner, schedule, seed, Silent())
    tell(f"{schedule.steps:,} steps of {batch_rows} texts")
    while not trainer.is_finished:
        trainer.learn()
        if trainer.step % max(1, schedule.steps // _LINES) == 0 or trainer.is_finished:
            found = learner.validate(trainer.step)
            tell(f"step {trainer.step:,}: loss {found.loss:.4f}, {found.words}")
    return adapter_file(model, base, layers, seed, data.sources)


def adapter_file(model: TaggerModel, base: BaseModel, layers: int, seed: int, sources: object) -> bytes:
    """The adapter in half precision, as safetensors. Its header says what it was made from."""
    metadata = {
        "format": FORMAT,
        "base_model": base.id,
        "base_digest": base.sha256,
        "tags": json.dumps(TAGS),
        "layers": str(layers),
        "rank": str(RANK),
        "alpha": str(alpha(RANK)),
        "shapes": str(SHAPES),
        "seed": str(seed),
        "sources": json.dumps(sources, ensure_ascii=False),
    }
    tensors = {name: tensor.detach().half().cpu().contiguous() for name, tensor in model.trained().items()}
    return with_sorted_header(save(tensors, metadata=metadata))
