"""The bodies of /v1/anonymize."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inference.gateway.anonymize import Anonymized
from inference.gateway.schemas.texts import Texts, TextsUsage, text_list


class AnonymizeRequest(BaseModel):
    """Texts that belong together: a value in several of them gets one pseudonym. `model` takes that model's policy."""

    model_config = ConfigDict(strict=True, extra="forbid")

    input: Texts
    model: str | None = Field(None, min_length=1, max_length=64)

    @field_validator("input", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> list[str]:
        return text_list(value)


class FoundEntity(BaseModel):
    """`start` and `end` count characters of the text as it was sent; `replacement` stands there now."""

    start: int
    end: int
    entity: str
    replacement: str


class AnonymizeResult(BaseModel):
    """One text, and what was replaced in it, in its order."""

    index: int
    text: str
    entities: list[FoundEntity]
    tokens: int


class AnonymizeResponse(BaseModel):
    """`mapping` has the value behind each replacement that stands for one value only, in its first spelling."""

    request_id: str
    policy_version: int
    results: list[AnonymizeResult]
    mapping: dict[str, str]
    usage: TextsUsage

    @classmethod
    def of(cls, anonymized: Anonymized) -> "AnonymizeResponse":
        results = [
            AnonymizeResult(
                index=index,
                text=one.text,
                entities=[
                    FoundEntity(start=it.start, end=it.end, entity=it.entity, replacement=it.stands)
                    for it in one.entities
                ],
                tokens=one.tokens,
            )
            for index, one in enumerate(anonymized.texts)
        ]
        return cls(
            request_id=anonymized.request_id,
            policy_version=anonymized.policy_version,
            results=results,
            mapping=dict(anonymized.mapping),
            usage=TextsUsage(inputs=len(results), tokens=anonymized.tokens),
        )
