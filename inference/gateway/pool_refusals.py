"""The pool's refusals as the errors that say the same to the tenant."""

from collections.abc import Mapping
from typing import Any

import structlog

from inference.gateway.pool_connections import UNREACHABLE, PoolResponse
from inference.gateway.prediction import (
    ModelBroken,
    PoolBusy,
    PoolUnavailable,
    PredictionError,
    PromptTooLong,
    TextTooLong,
)

log = structlog.get_logger(__name__)

_UNAVAILABLE = "The models are not available just now. Try again in a few seconds."
_DEFAULT_RETRY_SECONDS = 1


def unreachable(error: Exception) -> PoolUnavailable:
    """What to raise where the pool does not answer."""
    log.warning("pool_unreachable", error=type(error).__name__)
    return PoolUnavailable(_UNAVAILABLE)


def refusal(response: PoolResponse) -> PredictionError:
    """What to raise for an answer other than 200; reads its body, and closes it."""
    try:
        body = response.json()
    except (*UNREACHABLE, ValueError):
        body = {}
    finally:
        response.close()
    retry_after = response.headers.get("Retry-After", "")
    seconds = int(retry_after) if retry_after.isdecimal() else _DEFAULT_RETRY_SECONDS
    return refusal_of(body if isinstance(body, dict) else {}, seconds, response.status)


def refusal_of(
    body: Mapping[str, Any], retry_after: int = _DEFAULT_RETRY_SECONDS, status: int | None = None
) -> PredictionError:
    """What to raise for an error's body: `error` is its code, `message` says more to the operator."""
    code = body.get("error")
    match code:
        case "tenant_queue_full":
            message = (
                "Your requests come faster than they can be answered. Slow down, or send fewer texts at once."
            )
            return PoolBusy(message, tenant=True, retry_after=retry_after)
        case "pool_full" | "deadline":
            message = "The models are busy. Try again in a few seconds."
            return PoolBusy(message, tenant=False, retry_after=retry_after)
        case "text_too_long":
            message = (
                f"Text {body['index']} has {body['tokens']} tokens and the model reads {body['max_length']}. "
                "Shorten it, or set truncate to have its end cut off."
            )
            return TextTooLong(message, body["index"])
        case "prompt_too_long":
            message = (
                f"The messages have {body['tokens']} tokens, and the model has room for {body['max_length']} with "
                "its answer. Leave out the oldest messages, or shorten them."
            )
            return PromptTooLong(message)
        case "adapter_broken" | "invalid_adapter" | "wrong_base" | "wrong_task":
            log.error("model_broken", code=code, reason=body.get("message"))
            return ModelBroken(
                "This model's weights do not work. Train it again, or promote another version."
            )
        case _:
            log.error("pool_refused", status=status, code=code)
            return PoolUnavailable(_UNAVAILABLE)
