"""The bodies that huggingface_hub's InferenceClient sends to a model's own address, and reads."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from inference.gateway.prediction import Prediction, Tagging
from inference.gateway.schemas.texts import Texts, text_list


class PipelineParameters(BaseModel):
    """`top_k` and `function_to_apply` are of text classification, the others of token classification.

    A function is that of the model's task, and entities are whole words joined: neither can be chosen.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    top_k: int | None = Field(None, ge=1)
    function_to_apply: Literal["softmax", "sigmoid"] | None = None
    aggregation_strategy: Literal["simple", "first", "average", "max"] | None = None
    ignore_labels: list[str] = []
    stride: None = None
    truncation: bool = False


class PipelineRequest(BaseModel):
    """`inputs` is one text or a list of them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    inputs: Texts
    parameters: PipelineParameters = Field(default_factory=lambda: PipelineParameters(top_k=None))
    options: dict[str, bool] | None = None

    @field_validator("inputs", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> list[str]:
        return text_list(value)


class PipelineLabel(BaseModel):
    label: str
    score: float


class PipelineEntity(BaseModel):
    """`start` and `end` count characters of the text as it was sent."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


class PipelineResponse(
    RootModel[list[list[PipelineLabel]] | list[list[PipelineEntity]] | list[PipelineEntity]]
):
    """Of each text its labels, the likeliest first, or its entities; one text's entities come without a list around
    them."""


def labels_of(prediction: Prediction, top_k: int | None) -> PipelineResponse:
    return PipelineResponse(
        [
            [PipelineLabel(label=one.label, score=one.score) for one in result.scores[:top_k]]
            for result in prediction.results
        ]
    )


def entities_of(tagging: Tagging, ignored: list[str]) -> PipelineResponse:
    entities = [
        [
            PipelineEntity(
                entity_group=one.label, score=one.score, word=one.text, start=one.start, end=one.end
            )
            for one in result.entities
            if one.label not in ignored
        ]
        for result in tagging.results
    ]
    return PipelineResponse(entities[0] if len(entities) == 1 else entities)
