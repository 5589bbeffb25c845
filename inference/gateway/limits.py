"""How much a key and its tenant's plan may use a minute: requests, and tokens.

A key has its own limits, or those of the settings; a plan's hold for all of a tenant's keys together. Every request
with a key counts. Tokens are taken by an estimate before the models are asked, and settled by what was used.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from flask import Flask, Response, g

from core.config import get_settings
from inference.gateway.auth import caller, limits_of_plan
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.rates import Rate, Taken, process_rates

_BYTES_PER_TOKEN = 4
_TOKENS_AROUND = 2  # what a tokenizer puts before and after a text
_TOKENS_AROUND_MESSAGE = 8
EXPECTED_ANSWER_TOKENS = 256
"""What a chat is expected to write where it does not say how much it may."""


def init_app(app: Flask) -> None:
    """Count every request that came with a key, and say in its answer what is left. Call it after auth.init_app:
    whose requests they are must be known."""

    @app.before_request
    def count_request() -> None:
        if "caller" in g:
            g.requests = process_rates().take(_rates("requests"), 1)
            if not g.requests.fits:
                raise _refused(g.requests, "requests")

    @app.after_request
    def tell(response: Response) -> Response:
        for name in ("requests", "tokens"):
            taken: Taken | None = g.get(name)
            if taken is not None:
                response.headers[f"x-ratelimit-limit-{name}"] = str(taken.limit)
                response.headers[f"x-ratelimit-remaining-{name}"] = str(taken.remaining)
                response.headers[f"x-ratelimit-reset-{name}"] = _duration(taken.reset_seconds)
        return response

    @app.teardown_request
    def give_back(_error: BaseException | None) -> None:
        # What failed has used nothing; a stream settles for itself when it ends.
        if (taken := g.pop("tokens_to_settle", None)) is not None:
            process_rates().settle(taken, 0)


def reserve_texts(texts: Iterable[str]) -> None:
    """Take the tokens that `texts` may have. Raises ApiError where that is more than is left."""
    _reserve(sum(_estimate(text) + _TOKENS_AROUND for text in texts))


def reserve_chat(contents: Sequence[str], max_tokens: int | None) -> None:
    """Take the tokens that a chat may read and write. Raises ApiError where that is more than is left."""
    read = sum(_estimate(content) + _TOKENS_AROUND_MESSAGE for content in contents)
    _reserve(read + (max_tokens or EXPECTED_ANSWER_TOKENS))


def settle(tokens: int) -> None:
    """Make what was reserved what was used."""
    taken: Taken = g.pop("tokens_to_settle")
    process_rates().settle(taken, tokens)
    g.tokens = replace(taken, amount=tokens)


def settle_later() -> Taken:
    """What was reserved: whoever calls this settles it."""
    taken: Taken = g.pop("tokens_to_settle")
    return taken


def _reserve(tokens: int) -> None:
    g.tokens = process_rates().take(_rates("tokens"), tokens)
    if not g.tokens.fits:
        raise _refused(g.tokens, "tokens")
    g.tokens_to_settle = g.tokens


def _rates(of: str) -> list[Rate]:
    key, plan, settings = caller(), limits_of_plan(), get_settings()
    own, default, everybody = {
        "requests": (key.requests_per_minute, settings.requests_per_minute, plan.requests_per_minute),
        "tokens": (key.tokens_per_minute, settings.tokens_per_minute, plan.tokens_per_minute),
    }[of]
    return [
        Rate(f"{of}:key:{key.id}", own or default),
        Rate(f"{of}:tenant:{key.scope.tenant_id}", everybody),
    ]


def _refused(taken: Taken, of: str) -> ApiError:
    whose = "this API key" if ":key:" in taken.refused_by.name else "your plan"
    limit = taken.refused_by.limit
    if taken.amount > limit:
        message = f"This request needs about {taken.amount} {of}, and {whose} allows {limit} a minute: send less at once."
    else:
        message = (
            f"Rate limit reached: {whose} allows {limit} {of} a minute. Try again in {taken.wait_seconds}s."
        )
    return ApiError(429, ErrorType.RATE_LIMIT, "rate_limit_exceeded", message, retry_after=taken.wait_seconds)


def _estimate(text: str) -> int:
    return -(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN)


def _duration(seconds: int) -> str:
    """As OpenAI writes it: 1m30s."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
