"""The WSGI apps: `wsgi:portal`, `wsgi:api`, and `wsgi:app` with both, for development and one small server.

Each is made when it is first asked for, so that a process holds only the one it serves.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

_API_PATHS = ("/v1/", "/hf/", "/predict")


def _make_portal() -> Flask:
    from portal.app import create_portal

    return create_portal()


def _make_api() -> Flask:
    from core.privacy.detect import warm_up
    from portal.api.app import create_api

    api = create_api()
    warm_up()  # or each process's first request would wait seconds for it
    return api


def _make_app() -> Flask:
    portal, api = _make_portal(), _make_api()
    serve_page = portal.wsgi_app

    def dispatch(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        serve = api.wsgi_app if environ["PATH_INFO"].startswith(_API_PATHS) else serve_page
        return serve(environ, start_response)

    portal.wsgi_app = dispatch  # type: ignore[method-assign]
    return portal


_MAKERS = {"portal": _make_portal, "api": _make_api, "app": _make_app}


def __getattr__(name: str) -> Flask:
    if name not in _MAKERS:
        raise AttributeError(name)
    made = globals()[name] = _MAKERS[name]()
    return made
