"""Stripe's refusals, in its own words' shape."""

from typing import Any, Self


class StripeFault(Exception):
    """A request that Stripe answers with an error."""

    def __init__(
        self, status: int, kind: str, message: str, *, code: str = "", param: str = "", **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.error = {"type": kind, "message": message, **more}
        if code:
            self.error["code"] = code
        if param:
            self.error["param"] = param

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}

    @classmethod
    def invalid(cls, message: str, param: str = "", code: str = "") -> Self:
        """Stripe does not do such a thing."""
        return cls(400, "invalid_request_error", message, code=code, param=param)

    @classmethod
    def missing(cls, kind: str, key: str, param: str = "id") -> Self:
        """There is no object of that id."""
        message = f"No such {kind}: '{key}'"
        return cls(404, "invalid_request_error", message, code="resource_missing", param=param)

    @classmethod
    def declined(cls, decline_code: str, **more: Any) -> Self:
        """A card's bank says no."""
        message = "Your card was declined."
        return cls(402, "card_error", message, code="card_declined", decline_code=decline_code, **more)

    @classmethod
    def too_many(cls) -> Self:
        """More at once, or in a second, than Stripe takes."""
        return cls(429, "invalid_request_error", "Too many requests.", code="rate_limit")

    @classmethod
    def not_modelled(cls, what: str) -> Self:
        """Stripe may do it; this stand-in does not."""
        return cls(501, "api_error", f"Not modelled: {what}")
