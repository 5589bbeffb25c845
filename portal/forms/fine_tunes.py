"""The form for a new fine-tune. It is read from a page's address, so that a choice can be linked to and reviewed."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask_wtf import FlaskForm
from wtforms import FloatField, IntegerField, RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, NumberRange, Optional, Regexp, ValidationError

from core.catalogue import Task
from core.models.datasets import Dataset, DatasetVersion
from core.models.fine_tune_jobs import Method
from portal.tasks import words_of
from training.jobs import HIGHEST_SEED
from training.recipe.settings import (
    MAX_EPOCHS,
    MAX_EPSILON,
    MAX_LEARNING_RATE,
    MAX_RANK,
    MIN_EPSILON,
    MIN_LEARNING_RATE,
    PRIVATE_TASKS,
    FineTuneSettings,
)

_DEFAULTS = FineTuneSettings()
_METHODS = {Method.LORA: "LoRA", Method.FULL: "Full fine-tune"}
_TASKS_OF_FULL = frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL})
"""Tasks for which a full fine-tune is offered, besides LoRA."""
_NOT_PRIVATE, _OWN_EPSILON = "off", "own"
_EPSILONS = {"8": 8.0, "3": 3.0, "1": 1.0}
_PRIVACY = {_NOT_PRIVATE: "Off", **{name: f"ε = {name}" for name in _EPSILONS}, _OWN_EPSILON: "Another ε"}
_RANGE = "Enter a number from %(min)s to %(max)s."


def _size(task: Task, version: DatasetVersion) -> str:
    rows = f"{version.rows:,} rows"
    return rows if task is Task.CLASSIFICATION else f"{words_of(task).title.lower()}, {rows}"


class WholeNumberField(IntegerField):
    """A whole number; what is none is told in plain words."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError("Enter a whole number.") from None


class NumberField(FloatField):
    """A number; what is none is told in plain words."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError("Enter a number such as 0.001.") from None


class FineTuneForm(FlaskForm):
    """What to train, on which data, and how."""

    class Meta:
        csrf = False  # it only asks; what launches is a POST, which the app checks as it does every one

    version = SelectField("Dataset version", validators=[InputRequired("Choose the data to train on.")])
    model_name = StringField(
        "Model",
        validators=[
            InputRequired("Give the model a name."),
            Regexp(
                r"[a-z0-9_-]{1,64}\Z",
                message="Use 1 to 64 lower-case letters, digits, hyphens and underscores.",
            ),
        ],
        filters=[lambda name: name.strip() if name else name],
        description="Your apps call it by this name. A new name makes a new model; the name of a model that is "
        "there gives it its next version.",
    )
    method = RadioField(
        "Method",
        default=_DEFAULTS.method.value,
        validate_choice=False,  # in words of its own, below
    )
    epochs = WholeNumberField(
        "Epochs",
        validators=[Optional(), NumberRange(1, MAX_EPOCHS, _RANGE)],
        description="How often training reads the data. Left empty, it is chosen by the amount of data.",
    )
    learning_rate = NumberField(
        "Learning rate",
        validators=[Optional(), NumberRange(MIN_LEARNING_RATE, MAX_LEARNING_RATE, _RANGE)],
        description="The highest of the schedule, such as 0.001. Left empty, it is the method's own.",
    )
    rank = WholeNumberField(
        "Rank",
        validators=[Optional(), NumberRange(1, MAX_RANK, _RANGE)],
        default=_DEFAULTS.rank,
        description="The size of LoRA's changes, from 1 to 64. A full fine-tune does not read it.",
    )
    seed = WholeNumberField(
        "Seed",
        validators=[Optional(), NumberRange(0, HIGHEST_SEED, _RANGE)],
        description="The same seed on the same data gives the same result. Left empty, it is drawn.",
    )

    privacy = RadioField(
        "Differential privacy",
        choices=[SelectChoice(name, title) for name, title in _PRIVACY.items()],
        default=_NOT_PRIVATE,
        validate_choice=False,  # in words of its own, below
    )
    epsilon = NumberField(
        "ε of your own",
        validators=[Optional(), NumberRange(MIN_EPSILON, MAX_EPSILON, _RANGE)],
        description=f"From {MIN_EPSILON} to {MAX_EPSILON:.0f}; the lower, the stronger the guarantee.",
    )

    def offer(self, versions: Sequence[tuple[Dataset, DatasetVersion]]) -> None:
        """Offer the dataset versions to train on, and the methods for the one that is chosen."""
        self._tasks = {str(version.id): dataset.task for dataset, version in versions}
        self.version.choices = [
            SelectChoice(
                str(version.id), f"{dataset.name}, version {version.number} ({_size(dataset.task, version)})"
            )
            for dataset, version in versions
        ]
        self.method.choices = [
            SelectChoice(method.value, title)
            for method, title in _METHODS.items()
            if method is Method.LORA or self.task in _TASKS_OF_FULL
        ]

    @property
    def task(self) -> Task:
        """What the chosen version is labeled for; of the first one offered where none is chosen."""
        first = next(iter(self._tasks.values()), Task.CLASSIFICATION)
        return self._tasks.get(self.version.data, first)

    def validate_method(self, field: RadioField) -> None:
        """WTForms calls it for the field `method`."""
        offered = [choice.value for choice in self.method.choices]
        if field.data not in offered:
            raise ValidationError(
                f"For {words_of(self.task).title.lower()} there is LoRA only."
                if field.data == Method.FULL
                else f"Choose one of {', '.join(offered)}."
            )

    def validate_privacy(self, field: RadioField) -> None:
        """WTForms calls it for the field `privacy`."""
        if field.data not in _PRIVACY:
            raise ValidationError(f"Choose one of {', '.join(_PRIVACY)}.")
        if field.data == _NOT_PRIVATE:
            return
        if not self.can_be_private:
            raise ValidationError(f"For {words_of(self.task).title.lower()} it is not offered. Choose Off.")
        if self.method.data == Method.FULL:
            raise ValidationError("It works with LoRA only. Choose LoRA above, or Off here.")
        if field.data == _OWN_EPSILON and self.epsilon.data is None and not self.epsilon.errors:
            raise ValidationError("Enter the ε that you want, or choose one of the others.")

    @property
    def can_be_private(self) -> bool:
        """Whether differential privacy is offered for what the chosen version is labeled for."""
        return self.task in PRIVATE_TASKS

    @property
    def version_id(self) -> UUID:
        return UUID(self.version.data)

    @property
    def settings(self) -> FineTuneSettings:
        """The settings that were chosen. Raises SettingsError."""
        rank = _DEFAULTS.rank if self.rank.data is None else self.rank.data
        return FineTuneSettings(
            method=self.method.data,
            epochs=self.epochs.data,
            learning_rate=self.learning_rate.data,
            rank=rank,
            epsilon=self.epsilon.data
            if self.privacy.data == _OWN_EPSILON
            else _EPSILONS.get(self.privacy.data),
        )

    @staticmethod
    def privacy_arguments(epsilon: float | None) -> dict[str, Any]:
        """The form's arguments that choose `epsilon`."""
        names = {value: name for name, value in _EPSILONS.items()}
        if epsilon is None:
            return {}
        return (
            {"privacy": names[epsilon]} if epsilon in names else {"privacy": _OWN_EPSILON, "epsilon": epsilon}
        )

    @property
    def has_advanced(self) -> bool:
        """Whether something was chosen, or is wrong, among the advanced settings."""
        chosen = (self.epochs.data, self.learning_rate.data, self.seed.data)
        wrong = (self.epochs, self.learning_rate, self.seed, self.rank)
        return (
            any(value is not None for value in chosen)
            or self.rank.data not in (None, _DEFAULTS.rank)
            or any(field.errors for field in wrong)
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """The choice as an address has it; what is left to its default is left out."""
        given = {name: field.data for name, field in self._fields.items()}
        return {name: value for name, value in given.items() if value not in (None, "")}
