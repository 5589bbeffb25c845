"""The portal's Flask app: put together from the views in portal/views, one blueprint per noun."""

import pkgutil
from datetime import timedelta
from importlib import import_module
from itertools import chain
from pathlib import Path

from flask import Flask, Response, abort, current_app, request
from flask_login import current_user
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

import portal.views
from core.config import get_settings
from core.http_headers import HSTS, ON_EVERY_ANSWER
from core.log import configure_logging
from core.tenancy import Permission, Role, StaffPermission, StaffRole
from portal import assets, cli, errors, filters, limits, navigation, session, standing, tasks
from portal.access import public, require_stated_access
from portal.addresses import is_verified
from portal.identity import login_manager

ROOT = Path(__file__).parent.parent
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def create_portal() -> Flask:
    """The portal as a WSGI app.

    Raises ConfigError where the environment is incomplete, RuntimeError where a view does not say who may use it.
    """
    settings = get_settings()
    configure_logging("web")
    app = Flask("portal", root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SESSION_COOKIE_NAME="adaptary_session",
        SESSION_COOKIE_SECURE=settings.portal_url.startswith("https://"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(
            days=7
        ),  # since the sign-in; a copied cookie is good no longer either
        SEND_FILE_MAX_AGE_DEFAULT=3600,
        MAX_CONTENT_LENGTH=1 << 20,  # the upload of a dataset raises it for itself
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a form left open over lunch still works
    )
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=1, x_host=1)  # type: ignore[method-assign]
    CSRFProtect(app)
    app.before_request(_refuse_null)
    login_manager.init_app(app)
    for part in (limits, session, filters, tasks, errors, cli, assets, navigation, standing):
        part.init_app(app)
    _register_views(app)
    public(app.view_functions["static"])
    app.context_processor(_template_globals)
    app.after_request(_secure)
    require_stated_access(app)
    return app


def _refuse_null() -> None:
    """Answer 400 to a null character in any value: Postgres takes none in a text, and no browser sends one."""
    values = [(request.view_args or {}).values(), *request.args.listvalues()]
    if request.method in current_app.config["WTF_CSRF_METHODS"]:
        # The form has been read by now: the token is looked for in it.
        values += [*request.form.listvalues(), [file.filename for file in request.files.values()]]
    if any("\0" in value for value in chain.from_iterable(values) if isinstance(value, str)):
        abort(400)


def _register_views(app: Flask) -> None:
    """Register the `bp` of every module in portal/views."""
    for module in pkgutil.walk_packages(portal.views.__path__, "portal.views."):
        blueprint = getattr(import_module(module.name), "bp", None)
        if blueprint is not None:
            app.register_blueprint(blueprint)


def _can(permission: Permission | StaffPermission) -> bool:
    """Whether the signed-in person has `permission`: what decides about links and buttons in templates."""
    if not current_user.is_authenticated:
        return False
    if current_user.is_staff:
        return permission in current_user.permissions if isinstance(permission, StaffPermission) else False
    return isinstance(permission, Permission) and current_user.scope.allows(permission)


def _template_globals() -> dict[str, object]:
    return {
        "can": _can,
        "is_verified": is_verified,
        "Permission": Permission,
        "StaffPermission": StaffPermission,
        "Role": Role,
        "StaffRole": StaffRole,
        "settings": get_settings(),
    }


def _secure(response: Response) -> Response:
    headers = response.headers
    headers.update(ON_EVERY_ANSWER)
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("Referrer-Policy", "same-origin")
    if get_settings().portal_url.startswith("https://"):
        headers["Strict-Transport-Security"] = HSTS
    if request.endpoint != "static":
        # A tenant's pages are nobody else's: no proxy and no back button after signing out may show them.
        headers.setdefault("Cache-Control", "no-store")
    return response
