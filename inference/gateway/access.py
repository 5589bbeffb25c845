"""Who may use a route of the API: every view says so, and the app refuses to start with one that does
not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask

from core.tenancy import Permission

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """What a view demands: nothing (`public`), or an API key with one permission. auth.py enforces it."""

    public: bool = False
    permission: Permission | None = None


def public(view: View) -> View:
    """Anybody may use the view."""
    view.access = Access(public=True)  # type: ignore[attr-defined]
    return view


def requires(permission: Permission) -> Callable[[View], View]:
    """Whoever has an API key with `permission` may use the view."""

    def state(view: View) -> View:
        view.access = Access(permission=permission)  # type: ignore[attr-defined]
        return view

    return state


def require_stated_access(app: Flask) -> None:
    """Raise RuntimeError naming every view of `app` that does not say who may use it."""
    silent = [
        name
        for name, view in app.view_functions.items()
        if not isinstance(getattr(view, "access", None), Access)
    ]
    if silent:
        raise RuntimeError(f"Views without a stated access: {', '.join(sorted(silent))}")
