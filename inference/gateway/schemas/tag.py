"""The bodies of /v1/tag."""

from pydantic import BaseModel

from inference.gateway.prediction import Tagging
from inference.gateway.schemas.texts import DIGITS, TextsRequest, TextsUsage


class TagRequest(TextsRequest):
    """Texts to find entities in."""


class TagEntity(BaseModel):
    """`start` and `end` count characters of the text as it was sent; `text` is what stands between them."""

    start: int
    end: int
    label: str
    score: float
    text: str


class TagResult(BaseModel):
    """One text's entities, in its order."""

    index: int
    entities: list[TagEntity]
    tokens: int
    truncated: bool


class TagResponse(BaseModel):
    request_id: str
    model: str
    version: int
    policy_version: int
    results: list[TagResult]
    usage: TextsUsage

    @classmethod
    def of(cls, tagging: Tagging) -> "TagResponse":
        results = [
            TagResult(
                index=index,
                entities=[
                    TagEntity(
                        start=entity.start,
                        end=entity.end,
                        label=entity.label,
                        score=round(entity.score, DIGITS),
                        text=entity.text,
                    )
                    for entity in result.entities
                ],
                tokens=result.tokens,
                truncated=result.truncated,
            )
            for index, result in enumerate(tagging.results)
        ]
        return cls(
            request_id=tagging.request_id,
            model=tagging.model,
            version=tagging.version,
            policy_version=tagging.policy_version,
            results=results,
            usage=TextsUsage(inputs=len(results), tokens=tagging.tokens),
        )
