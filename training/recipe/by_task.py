"""Fine-tunes and their dry runs, by the task that the data is labeled for."""

from collections.abc import Callable
from typing import Any

from core.catalogue import BaseModel
from training.recipe.chat.measuring import measure_chat
from training.recipe.chat.run import ChatFineTune
from training.recipe.classification.objective import Classification
from training.recipe.data import ChatData, ClassificationData, MultiLabelData, TaggingData, TrainingData
from training.recipe.device import reproducible
from training.recipe.encoder_measuring import measure_encoder
from training.recipe.encoder_run import EncoderFineTune
from training.recipe.errors import RecipeError
from training.recipe.monitor import Monitor
from training.recipe.multi_label.objective import MultiLabel
from training.recipe.objective import Objective
from training.recipe.progress import Progress
from training.recipe.result import Measurement, Result
from training.recipe.settings import MIN_PRIVATE_ROWS, FineTuneSettings
from training.recipe.tagging.objective import Tagging
from training.recipe.words import count

_OBJECTIVES: dict[type[TrainingData[Any]], Callable[[tuple[str, ...]], Objective[Any]]] = {
    ClassificationData: Classification,
    MultiLabelData: MultiLabel,
    TaggingData: Tagging,
}


def fine_tune(
    data: TrainingData[Any],
    settings: FineTuneSettings,
    base: BaseModel,
    seed: int,
    monitor: Monitor,
    checkpoint: bytes | None = None,
) -> Result:
    """Train `base` on `data`, and measure it. From a `checkpoint` of the same fine-tune it goes on to the same result.

    Raises RecipeError and SettingsError for what cannot be trained with, BaseModelUnavailable, and whatever `monitor`
    raises.
    """
    _check(data, settings)
    with reproducible(seed):
        if isinstance(data, ChatData):
            return ChatFineTune(data, settings, base, seed, monitor).run(checkpoint)
        objective = _OBJECTIVES[type(data)](data.labels)
        return EncoderFineTune(objective, data, settings, base, seed, monitor).run(checkpoint)


def measure(
    data: TrainingData[Any], settings: FineTuneSettings, base: BaseModel, beat: Callable[[], None]
) -> Measurement:
    """A dry run of a few seconds: how long a fine-tune would take on this machine.

    Raises RecipeError and SettingsError for what cannot be trained with, BaseModelUnavailable, and what `beat` raises.
    """
    _check(data, settings)
    progress = Progress(lambda _progress, _eta: beat())
    with reproducible(seed=0):
        if isinstance(data, ChatData):
            return measure_chat(data, settings, base, progress)
        objective = _OBJECTIVES[type(data)](data.labels)
        return measure_encoder(objective, data, settings, base, progress)


def _check(data: TrainingData[Any], settings: FineTuneSettings) -> None:
    settings.check_task(data.task)
    data.check()
    if settings.epsilon is not None and len(data.train) < MIN_PRIVATE_ROWS:
        raise RecipeError(
            f"The training split has {count(len(data.train), 'row')}, which would disappear in the noise of differential "
            f"privacy. Add rows until it has {MIN_PRIVATE_ROWS}, or train without."
        )
