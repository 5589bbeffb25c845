"""The API's errors: always `{"error": {"type", "code", "message", "param", "request_id"}}`, never a stack
trace."""

from enum import StrEnum

import structlog
from flask import Flask, Response, jsonify
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from core.tenancy import PermissionDenied
from inference.gateway.prediction import (
    BudgetExceeded,
    ClientLeft,
    InvalidMessages,
    InvalidText,
    ModelBroken,
    ModelNotFound,
    ModelNotReady,
    NoDefaultModel,
    NotSearched,
    PaymentMissing,
    PoolBusy,
    PoolUnavailable,
    PredictionError,
    PromptTooLong,
    TextTooLong,
    WrongTask,
)
from inference.gateway.request_id import request_id

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 5


class ErrorType(StrEnum):
    """What kind of thing is wrong, and so who can mend it."""

    INVALID_REQUEST = "invalid_request_error"
    AUTHENTICATION = "authentication_error"
    BILLING = "billing_error"
    PERMISSION = "permission_error"
    NOT_FOUND = "not_found_error"
    RATE_LIMIT = "rate_limit_error"
    OVERLOADED = "overloaded_error"
    SERVER = "server_error"


class ApiError(Exception):
    """An answer other than 2xx. `param` names the wrong field, `retry_after` is in whole seconds."""

    def __init__(
        self,
        status: int,
        error_type: ErrorType,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = error_type
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after

    def body(self, request_id: str) -> dict[str, dict[str, str | None]]:
        """The answer's JSON."""
        return {
            "error": {
                "type": self.type,
                "code": self.code,
                "message": self.message,
                "param": self.param,
                "request_id": request_id,
            }
        }

    def response(self) -> Response:
        response = jsonify(self.body(request_id()))
        response.status_code = self.status
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        if self.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response


def init_app(app: Flask) -> None:
    """Answer every exception as JSON."""
    app.register_error_handler(ApiError, lambda error: error.response())
    app.register_error_handler(PredictionError, lambda error: from_prediction(error).response())
    app.register_error_handler(PermissionDenied, lambda error: _denied(error).response())
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(Exception, _failed)


_PREDICTION_ERRORS: dict[type[PredictionError], tuple[int, ErrorType, str]] = {
    ModelNotFound: (404, ErrorType.NOT_FOUND, "model_not_found"),
    ModelNotReady: (400, ErrorType.INVALID_REQUEST, "model_not_ready"),
    WrongTask: (400, ErrorType.INVALID_REQUEST, "wrong_task"),
    NoDefaultModel: (400, ErrorType.INVALID_REQUEST, "no_default_model"),
    InvalidText: (400, ErrorType.INVALID_REQUEST, "invalid_text"),
    TextTooLong: (400, ErrorType.INVALID_REQUEST, "text_too_long"),
    InvalidMessages: (400, ErrorType.INVALID_REQUEST, "invalid_messages"),
    BudgetExceeded: (402, ErrorType.BILLING, "budget_exceeded"),
    PaymentMissing: (402, ErrorType.BILLING, "payment_required"),
    PromptTooLong: (400, ErrorType.INVALID_REQUEST, "context_length_exceeded"),
    PoolUnavailable: (503, ErrorType.OVERLOADED, "unavailable"),
    NotSearched: (503, ErrorType.OVERLOADED, "not_searched"),
    ClientLeft: (400, ErrorType.INVALID_REQUEST, "client_left"),  # for the log: nobody reads it
    ModelBroken: (500, ErrorType.SERVER, "model_broken"),
}
_ABOUT_THE_MODEL = (ModelNotFound, ModelNotReady, WrongTask, ModelBroken)


def from_prediction(error: PredictionError) -> ApiError:
    """What the API answers where no prediction came about."""
    message = str(error)
    if isinstance(error, PoolBusy):
        status, kind, code = (
            (429, ErrorType.RATE_LIMIT, "queue_full")
            if error.tenant
            else (503, ErrorType.OVERLOADED, "overloaded")
        )
        return ApiError(status, kind, code, message, retry_after=error.retry_after)
    status, kind, code = _PREDICTION_ERRORS.get(type(error), (500, ErrorType.SERVER, "internal"))
    param = "model" if isinstance(error, _ABOUT_THE_MODEL) else getattr(error, "param", None)
    return ApiError(
        status, kind, code, message, param=param, retry_after=_RETRY_SECONDS if status == 503 else None
    )


def _denied(error: PermissionDenied) -> ApiError:
    message = (
        f"{error} Make a key that may manage files, fine-tunes and models on the portal's page 'API keys'."
    )
    return ApiError(403, ErrorType.PERMISSION, "permission_denied", message)


_HTTP_MESSAGES = {
    404: "There is no such path. The paths are in the API's reference.",
    405: "The path is right, but not the method.",
    413: "The body is too large: send fewer or shorter texts.",
    415: "Send the body as it is, without Content-Encoding.",
}


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    kind = ErrorType.NOT_FOUND if status == 404 else ErrorType.INVALID_REQUEST
    code = error.name.lower().replace(" ", "_")
    return ApiError(status, kind, code, _HTTP_MESSAGES.get(status, error.name)).response()


def _database_away(error: OperationalError) -> Response:
    log.error("database_unavailable", request_id=request_id(), error=type(error.orig).__name__)
    message = "The service is not available just now. Try again in a few seconds."
    return ApiError(503, ErrorType.OVERLOADED, "unavailable", message, retry_after=_RETRY_SECONDS).response()


def _failed(_error: Exception) -> Response:
    log.exception("request_failed", request_id=request_id())
    return internal_error().response()


def internal_error() -> ApiError:
    """What to answer where the fault is ours; the log says more."""
    message = "Something went wrong on our side. If it stays so, write to us with the request_id."
    return ApiError(500, ErrorType.SERVER, "internal", message)
