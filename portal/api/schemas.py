"""The bodies of /v1/fine_tuning, in OpenAI's shape."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.catalogue import Task
from inference.gateway.schemas.metadata import Metadata
from inference.gateway.schemas.paging import Page

Auto = Literal["auto"]
_STRICT = ConfigDict(strict=True, extra="forbid")


class Hyperparameters(BaseModel):
    """How long and how fast to learn. The learning rate is the recipe's own, times the multiplier.

    `privacy_epsilon`, which OpenAI's shape lacks, asks for differential privacy: ε for each row, from 0.1 to 20.
    """

    model_config = _STRICT

    n_epochs: Auto | int = "auto"
    learning_rate_multiplier: Auto | float = "auto"
    batch_size: Auto = "auto"
    privacy_epsilon: float | None = None


class Supervised(BaseModel):
    model_config = _STRICT

    hyperparameters: Hyperparameters | None = None


class MethodChoice(BaseModel):
    """Learning from labeled rows is the one method that there is."""

    model_config = _STRICT

    type: Literal["supervised"]
    supervised: Supervised | None = None


class JobRequest(BaseModel):
    """What to train on, from which base model or as the next version of which model, and under which name."""

    model_config = _STRICT

    model: str = Field(min_length=1, max_length=64)
    training_file: str = Field(max_length=64)
    validation_file: str | None = Field(None, max_length=64)
    suffix: str | None = Field(None, max_length=64)
    hyperparameters: Hyperparameters | None = None
    method: MethodChoice | None = None
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    metadata: Metadata | None = None
    integrations: Annotated[list[None], Field(max_length=0)] | None = None

    @property
    def chosen(self) -> Hyperparameters:
        """The hyperparameters, wherever they stand."""
        supervised = self.method.supervised if self.method else None
        return (
            (supervised.hyperparameters if supervised else None) or self.hyperparameters or Hyperparameters()
        )


class JobProblem(BaseModel):
    """Why a job failed."""

    code: str
    message: str
    param: str | None


class SupervisedAnswer(BaseModel):
    hyperparameters: Hyperparameters


class MethodAnswer(BaseModel):
    type: Literal["supervised"] = "supervised"
    supervised: SupervisedAnswer


class JobObject(BaseModel):
    """A fine-tuning job. Times are in seconds since the epoch; `fine_tuned_model` is there once it has succeeded."""

    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    id: str
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    status: Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
    error: JobProblem | None
    model: str
    task: Task
    fine_tuned_model: str | None
    training_file: str
    validation_file: str | None
    trained_tokens: int | None
    seed: int
    hyperparameters: Hyperparameters
    method: MethodAnswer
    metadata: dict[str, str] | None
    organization_id: str
    result_files: list[str] = []
    integrations: list[str] = []


class JobList(Page):
    data: list[JobObject]


class JobEvent(BaseModel):
    """A line of a job's log."""

    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    id: str
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message"] = "message"


class JobEventList(Page):
    data: list[JobEvent]


class CheckpointMetrics(BaseModel):
    """What was measured at a checkpoint's step."""

    step: int
    train_loss: float | None = None
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    valid_macro_f1: float | None = None
    valid_f1: float | None = None


class Checkpoint(BaseModel):
    """The step whose weights the job has kept: the best by the validation split."""

    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    id: str
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: CheckpointMetrics


class CheckpointList(Page):
    data: list[Checkpoint]
