"""An answer that the pool writes token by token: one JSON object a line."""

import json
from collections.abc import Iterator
from typing import Any

from inference.gateway.pool_connections import UNREACHABLE, PoolResponse
from inference.gateway.pool_refusals import refusal, refusal_of, unreachable
from inference.gateway.prediction import PoolUnavailable


class PoolStream:
    """The pieces of one answer as they come.

    `prompt_tokens` is known from the start, `completion_tokens` counts what has come so far, and `finish_reason`
    ("stop" or "length") is None until the end.
    """

    def __init__(self, response: PoolResponse) -> None:
        """Read the first line. Raises a PredictionError where the pool refuses; the answer is closed then."""
        if response.status != 200:
            raise refusal(response)
        self._response = response
        self._lines = response.lines()
        self.completion_tokens = 0
        self.finish_reason: str | None = None
        try:
            self.prompt_tokens: int = self._next_line()["prompt_tokens"]
        except BaseException:
            response.close()
            raise

    def __iter__(self) -> Iterator[str]:
        """The pieces of text. Raises a PredictionError where the pool fails half-way."""
        while self.finish_reason is None:
            line = self._next_line()
            if "finish_reason" in line:
                self.finish_reason = line["finish_reason"]
                self.completion_tokens = line["completion_tokens"]
                return
            self.completion_tokens = line["completion_tokens"]
            yield line["delta"]

    def close(self) -> None:
        """Drop the connection: the pool stops at once where the answer has not ended."""
        self._response.close()

    def _next_line(self) -> dict[str, Any]:
        try:
            line: dict[str, Any] = json.loads(next(self._lines))
        except UNREACHABLE as error:
            raise unreachable(error) from None
        except (StopIteration, ValueError):
            raise PoolUnavailable("The answer broke off. Try again in a few seconds.") from None
        if "error" in line:
            raise refusal_of(line)
        return line
