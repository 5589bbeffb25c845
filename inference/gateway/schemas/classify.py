"""The bodies of /v1/classify."""

from pydantic import BaseModel

from inference.gateway.prediction import Prediction
from inference.gateway.schemas.texts import DIGITS, TextsRequest, TextsUsage


class ClassifyRequest(TextsRequest):
    """Texts to label."""


class LabelScore(BaseModel):
    label: str
    score: float


class ClassifyResult(BaseModel):
    """One text's answer: its most likely label, the labels chosen, and every label with its probability.

    Of a model of several labels, those with a score of 0.5 or more are chosen; else the most likely one. `scores`
    has the likeliest first.
    """

    index: int
    label: str
    score: float
    labels: list[str]
    scores: list[LabelScore]
    tokens: int
    truncated: bool


class ClassifyResponse(BaseModel):
    request_id: str
    model: str
    version: int
    policy_version: int
    results: list[ClassifyResult]
    usage: TextsUsage

    @classmethod
    def of(cls, prediction: Prediction) -> "ClassifyResponse":
        results = [
            ClassifyResult(
                index=index,
                label=result.label,
                score=round(result.score, DIGITS),
                labels=list(result.labels),
                scores=[LabelScore(label=s.label, score=round(s.score, DIGITS)) for s in result.scores],
                tokens=result.tokens,
                truncated=result.truncated,
            )
            for index, result in enumerate(prediction.results)
        ]
        return cls(
            request_id=prediction.request_id,
            model=prediction.model,
            version=prediction.version,
            policy_version=prediction.policy_version,
            results=results,
            usage=TextsUsage(inputs=len(results), tokens=prediction.tokens),
        )
