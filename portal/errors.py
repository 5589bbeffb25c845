"""Errors as pages: what happened and what to do, never a stack trace."""

import structlog
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from core.config import get_settings
from core.tenancy import PermissionDenied
from portal.access import OutsideNetworks

log = structlog.get_logger(__name__)

_TEXTS = {
    400: ("That did not work", "The request was not understood. Go back, reload the page and try again."),
    403: ("Not allowed", "Your role does not include this. Ask an admin of your tenant."),
    404: ("Not found", "There is nothing here, or it is not yours to see."),
    405: ("That did not work", "This address does not answer to that. Go back and try again."),
    413: ("Too large", "The upload is larger than this portal takes."),
    429: ("Too many tries", "Wait a minute, then try again."),
    500: ("Something broke", "It is our fault and it was noted. Try again in a moment."),
    503: ("Back in a moment", "The database cannot be reached just now. Try again in a moment."),
}


def init_app(app: Flask) -> None:
    """Answer every error of `app` with a page."""
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OutsideNetworks, lambda error: _page(403, str(error)))
    app.register_error_handler(PermissionDenied, lambda _error: _page(403))
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(Exception, _unexpected)


def _page(code: int, message: str | None = None) -> ResponseReturnValue:
    title, text = _TEXTS.get(code, _TEXTS[400 if code < 500 else 500])
    # Rendered without the context of other pages, which knows who is signed in and so needs the database.
    page = current_app.jinja_env.get_template("errors/error.html")
    return page.render(code=code, title=title, message=message or text), code


def _csrf(_error: CSRFError) -> ResponseReturnValue:
    return _page(400, "The form had expired. Go back, reload the page and send it again.")


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error
    return _page(error.code)


def _database(_error: OperationalError) -> ResponseReturnValue:
    log.exception("database_unreachable")
    return _page(503)


def _unexpected(error: Exception) -> ResponseReturnValue:
    log.exception("unexpected_error")
    if get_settings().environment == "test":
        raise error
    return _page(500)
