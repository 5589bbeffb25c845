"""The bodies of /v1/chat/completions, as OpenAI's clients send and read them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_STOPS = 4
_UNSUPPORTED = {
    "tools": "Tools are",
    "tool_choice": "Tools are",
    "parallel_tool_calls": "Tools are",
    "functions": "Functions are",
    "function_call": "Functions are",
    "audio": "Audio is",
    "modalities": "Audio is",
    "prediction": "Predicted outputs are",
    "logit_bias": "A bias on tokens is",
    "top_logprobs": "Log probabilities are",
    "web_search_options": "Web search is",
    "reasoning_effort": "Reasoning is",
    "verbosity": "Verbosity is",
}


class TextPart(BaseModel):
    model_config = ConfigDict(strict=True)

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn. `content` is a text, or its parts; `developer` is the newer word for system."""

    model_config = ConfigDict(strict=True, extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return _without_nulls(value)

    @field_validator("content", mode="before")
    @classmethod
    def _only_text(cls, value: Any) -> Any:
        parts = value if isinstance(value, list) else []
        for part in parts:
            if isinstance(part, dict) and part.get("type", "text") != "text":
                raise ValueError("holds what is not text; images, audio and files are not supported")
        return value

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    include_usage: bool = False


class ResponseFormat(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    type: str

    @field_validator("type")
    @classmethod
    def _text(cls, value: str) -> str:
        if value != "text":
            raise ValueError("must be 'text'; JSON and schemas are not supported")
        return value


class SamplingFields(BaseModel):
    """How to choose each token, and when to stop."""

    model_config = ConfigDict(strict=True, extra="forbid")

    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(None, ge=1, le=1_000_000)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=_STOPS)] = []
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    presence_penalty: float = Field(0.0, ge=-2, le=2)

    @field_validator("stop", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class ChatRequest(SamplingFields):
    """Messages to answer. What other makers' models can and these cannot is refused by name, not ignored."""

    model: str = Field(min_length=1, max_length=64)
    messages: list[ChatMessage]
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = 1
    logprobs: bool = False
    response_format: ResponseFormat | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    store: bool = False
    service_tier: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_supported(cls, value: Any) -> Any:
        value = _without_nulls(value)
        if isinstance(value, dict):
            for name, what in _UNSUPPORTED.items():
                if value.get(name):
                    raise ValueError(f"{what} not supported; leave out {name!r}")
            value = {key: item for key, item in value.items() if key not in _UNSUPPORTED}
        return value

    @field_validator("n")
    @classmethod
    def _one(cls, value: int) -> int:
        if value != 1:
            raise ValueError("must be 1; ask again for another answer")
        return value

    @field_validator("logprobs")
    @classmethod
    def _no_logprobs(cls, value: bool) -> bool:
        if value:
            raise ValueError("must be false; log probabilities are not supported")
        return value


class PredictRequest(BaseModel):
    """One question to the key's default model."""

    model_config = ConfigDict(strict=True, extra="forbid")

    question: str = Field(min_length=1)


class PredictResponse(BaseModel):
    answer: str


class ChatUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, prompt: int, completion: int) -> "ChatUsage":
        return cls(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    index: int = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: str


class ChatResponse(BaseModel):
    """`created` is in seconds since the epoch, `policy_version` that of the privacy policy."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    policy_version: int
    choices: list[Choice]
    usage: ChatUsage
    system_fingerprint: None = None


class Delta(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(BaseModel):
    index: int = 0
    delta: Delta
    logprobs: None = None
    finish_reason: str | None = None


class ChatChunk(BaseModel):
    """A piece of an answer, one event of a stream. Only the last one has `usage`, and no choice."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    policy_version: int
    choices: list[ChunkChoice]
    usage: ChatUsage | None = None
    system_fingerprint: None = None


def _without_nulls(value: Any) -> Any:
    """Clients send null for what they leave out."""
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if item is not None}
