"""Every route of the portal and the API, driven as an outsider, as another tenant, and as each role.

Routes come from the apps' own maps, so a new one is tested by being there. A route with an argument that
tests/world.py does not know fails here: give the world an object of that kind.
"""

import pytest
from werkzeug.routing import Rule

from core.tenancy import ROLE_PERMISSIONS, STAFF_ROLE_PERMISSIONS, Role, StaffRole
from portal.access import Access
from tests.world import build_world

# What else a route's argument can be, besides the id of an object in the world.
OTHER_ARGUMENTS = {
    "token": "no-such-token",
    "filename": "css/app.css",
    "code": "starter",
    "plan_code": "starter",
}
OF_A_TENANT = {
    "user_id",
    "invite_id",
    "key_id",
    "dataset_id",
    "version_id",
    "model_id",
    "job_id",
    "adapter_id",
    "invoice_id",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def calls(app, arguments):
    """(endpoint, method, path, rule) of every route, reads first so that no write is in a read's way."""
    found = []
    for rule in app.url_map.iter_rules():
        unknown = rule.arguments - arguments.keys() - OTHER_ARGUMENTS.keys()
        assert not unknown, f"{rule.endpoint}: tests/world.py has no {', '.join(unknown)}"
        for method in METHODS:
            if method in rule.methods:
                found.append((method, path_of(app, rule, arguments), rule))
    return sorted(found, key=lambda call: METHODS.index(call[0]))


def path_of(app, rule: Rule, arguments) -> str:
    values = {name: {**OTHER_ARGUMENTS, **arguments}[name] for name in rule.arguments}
    return app.url_map.bind("localhost").build(rule.endpoint, values)


def access_of(app, rule: Rule) -> Access:
    return app.view_functions[rule.endpoint].access


@pytest.fixture
def world(admin):
    return build_world(admin.scope)


def test_an_outsider_reaches_public_routes_only(portal, client, world):
    for method, path, rule in calls(portal, world.arguments):
        response = client.open(path, method=method)
        if access_of(portal, rule).public:
            assert response.status_code < 500, path
        else:
            assert response.status_code == 303, path
            assert response.location.startswith("/login"), path


def test_another_tenants_objects_do_not_exist(portal, world, other_admin):
    for method, path, rule in calls(portal, world.arguments):
        access = access_of(portal, rule)
        if rule.arguments & OF_A_TENANT and access.staff_permission is None:
            response = other_admin.client.open(path, method=method)
            assert response.status_code == 404, f"{method} {path}: {response.status_code}"


@pytest.mark.parametrize("role", Role)
def test_a_role_reaches_what_it_has_permission_for(portal, world, member, role):
    client = member(role).client
    for method, path, rule in calls(portal, world.arguments):
        access = access_of(portal, rule)
        if rule.endpoint == "auth.logout":
            continue
        response = client.open(path, method=method)
        where = f"{method} {path}: {response.status_code}"
        assert response.status_code < 500, where
        if access.staff_permission is not None:
            assert response.status_code == 404, where
        elif access.permission is not None and access.permission not in ROLE_PERMISSIONS[role]:
            assert response.status_code == 403, where
        else:
            assert response.status_code != 403, where
            assert not (response.location or "").startswith("/login"), where


@pytest.mark.parametrize("role", StaffRole)
def test_staff_reach_the_operators_routes_and_no_tenants(portal, world, staff, role):
    client = staff(role).client
    for method, path, rule in calls(portal, world.arguments):
        access = access_of(portal, rule)
        if rule.endpoint == "auth.logout":
            continue
        response = client.open(path, method=method)
        where = f"{method} {path}: {response.status_code}"
        assert response.status_code < 500, where
        if access.permission is not None:
            assert response.status_code == 404, where
        elif (
            access.staff_permission is not None
            and access.staff_permission not in STAFF_ROLE_PERMISSIONS[role]
        ):
            assert response.status_code == 403, where
        elif access.staff_permission is not None:
            assert response.status_code != 403, where


def test_a_view_that_does_not_say_who_may_use_it_stops_the_start():
    from flask import Flask

    from portal.access import require_stated_access

    app = Flask("silent", static_folder=None)
    app.add_url_rule("/", "silent", lambda: "")
    with pytest.raises(RuntimeError, match="silent"):
        require_stated_access(app)
