"""Who may use a route: every view says so with exactly one of these decorators, and the app refuses to start
with one that does not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.wrappers import Response

from core.networks import is_within
from core.tenancy import Permission, StaffPermission
from portal.addresses import is_verified
from portal.identity import SignedInStaff, SignedInUser

_OF_THE_ACCOUNT = frozenset({"account", "address", "passkeys", "second_factor"})
_LOOKING = frozenset(permission for permission in Permission if permission.endswith(":read"))
"""What somebody may do who has not verified their e-mail address yet."""

View = TypeVar("View", bound=Callable[..., Any])


class OutsideNetworks(Exception):
    """The person may use the portal, but not from where they are; the message says so to them."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a view demands: nothing (`public`), a signed-in person, or one permission."""

    public: bool = False
    permission: Permission | None = None
    staff_permission: StaffPermission | None = None

    def __str__(self) -> str:
        if self.public:
            return "public"
        return (
            f"staff {self.staff_permission}" if self.staff_permission else str(self.permission or "signed in")
        )


def public(view: View) -> View:
    """Anybody may use the view."""
    view.access = Access(public=True)  # type: ignore[attr-defined]
    return view


def signed_in(view: View) -> View:
    """A tenant's users and the operator's staff may use the view."""
    return _guard(view, Access())


def allow(permission: Permission) -> Callable[[View], View]:
    """A tenant's users whose role has `permission` may use the view."""
    return lambda view: _guard(view, Access(permission=permission))


def staff(permission: StaffPermission) -> Callable[[View], View]:
    """The operator's staff whose role has `permission` may use the view; for tenants it does not exist."""
    return lambda view: _guard(view, Access(staff_permission=permission))


def _guard(view: View, access: Access) -> View:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        refusal = _refusal(access)
        return refusal if refusal is not None else view(*args, **kwargs)

    guarded.access = access  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


def _refusal(access: Access) -> ResponseReturnValue | None:
    if not current_user.is_authenticated:
        return _to_login()
    person: SignedInUser | SignedInStaff = current_user._get_current_object()
    if (
        person.networks
        and request.endpoint != "auth.logout"
        and not is_within(request.remote_addr, person.networks)
    ):
        raise OutsideNetworks(
            "Your tenant opens this portal from certain networks only, and you are outside of them. "
            "Use one of them, or ask an admin who is inside."
        )
    if person.needs_second_factor and not person.has_second_factor and not _is_about_the_account():
        return _to("second_factor.show")
    return _refusal_of_permission(access, person)


def _refusal_of_permission(
    access: Access, person: SignedInUser | SignedInStaff
) -> ResponseReturnValue | None:
    if access.staff_permission is not None:
        # To a tenant the operator's pages do not exist, rather than being forbidden.
        if not isinstance(person, SignedInStaff):
            abort(404)
        if access.staff_permission not in person.permissions:
            abort(403)
    if access.permission is not None:
        if not isinstance(person, SignedInUser):
            abort(404)
        if not person.scope.allows(access.permission):
            abort(403)
        if access.permission not in _LOOKING and not is_verified(person.user):
            return _to("address.show")
    return None


def _to_login() -> ResponseReturnValue:
    """Send the person to sign in and back."""
    target = request.full_path.rstrip("?") if request.method == "GET" else None
    return _to("auth.login", target)


def _to(endpoint: str, target: str | None = None) -> ResponseReturnValue:
    """Send the person to another page; a part of a page has the whole page sent there."""
    if "HX-Request" in request.headers:
        return Response(status=401, headers={"HX-Redirect": url_for(endpoint)})
    return redirect(url_for(endpoint, next=target), code=303)


def _is_about_the_account() -> bool:
    return request.blueprint in _OF_THE_ACCOUNT or request.endpoint == "auth.logout"


def require_stated_access(app: Flask) -> None:
    """Raise RuntimeError naming every view of `app` that does not say who may use it."""
    silent = [name for name, view in app.view_functions.items() if not hasattr(view, "access")]
    if silent:
        raise RuntimeError(
            f"Views without a stated access (see portal/access.py): {', '.join(sorted(silent))}"
        )


def view_access(endpoint: str) -> Access:
    """What the current app's view of that name demands."""
    access: Access = vars(current_app.view_functions[endpoint])["access"]
    return access
