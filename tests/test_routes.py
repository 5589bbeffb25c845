"""Every route of the portal and the API, driven as an outsider, as another tenant, and as each role.

Routes come from the apps' own maps, so a new one is tested by being there. A route with an argument that
tests/world.py does not know fails here: give the world an object of that kind.
"""

import pytest
from werkzeug.routing import Rule

from core import api_keys
from core.db import tenant_session
from core.models.api_keys import ApiKey
from core.tenancy import (
    KEY_PERMISSIONS,
    MANAGING_KEY_PERMISSIONS,
    ROLE_PERMISSIONS,
    STAFF_ROLE_PERMISSIONS,
    Role,
    StaffRole,
)
from portal.access import Access
from tests.world import build_world

# What else a route's argument can be, besides the id of an object in the world.
OTHER_ARGUMENTS = {
    "token": "no-such-token",
    "filename": "css/app.css",
    "code": "starter",
    "plan_code": "starter",
    "position": 1,  # the invoice's line
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
    return str(app.url_map.bind("localhost").build(rule.endpoint, values))


def access_of(app, rule: Rule) -> Access:
    access: Access = app.view_functions[rule.endpoint].access
    return access


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
        if rule.arguments & world.arguments.keys() and access.staff_permission is None:
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


@pytest.fixture(scope="module")
def api(services):
    from portal.api.app import create_api

    app = create_api()
    app.config["TESTING"] = True
    return app


def ask(api, method: str, path: str, key: str | None, body: object):
    """The API's answer to a request with `key`, and with `body` where the method takes one."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return api.test_client().open(
        path, method=method, headers=headers, json=None if method == "GET" else body
    )


@pytest.fixture
def revoked_key(world):
    with tenant_session(world.scope) as session:
        key, plain = api_keys.create(session, world.scope, "revoked")
        api_keys.revoke(session, world.scope, session.get_one(ApiKey, key.id))
        session.commit()
    return plain


def new_key(scope, *, may_manage: bool) -> str:
    with tenant_session(scope) as session:
        _, plain = api_keys.create(session, scope, "test", may_manage=may_manage)
        session.commit()
    return plain


@pytest.fixture
def other_key(other_admin):
    return new_key(other_admin.scope, may_manage=True)


def test_every_route_of_the_api_is_public_or_states_a_permission(api):
    for rule in api.url_map.iter_rules():
        access = access_of(api, rule)
        assert access.public != (access.permission is not None), rule.endpoint


def test_without_a_key_in_force_the_api_answers_public_routes_only(api, world, revoked_key):
    body = {"model": world.model_name, "input": "text"}
    for method, path, rule in calls(api, world.arguments):
        for key in (None, "ad_live_nonsense", api_keys.generate(), revoked_key):
            response = ask(api, method, path, key, body)
            where = f"{method} {path} with {key}: {response.status_code}"
            if rule.endpoint == "health.readyz":  # whether there is a pool is no business of this test
                assert response.status_code in (200, 503), where
            elif access_of(api, rule).public:
                assert response.status_code < 400, where
            else:
                assert response.status_code == 401, where


@pytest.mark.parametrize("may_manage", [False, True])
def test_a_key_reaches_what_keys_of_its_kind_have_permission_for(api, world, may_manage):
    key = new_key(world.scope, may_manage=may_manage)
    allowed = (MANAGING_KEY_PERMISSIONS if may_manage else KEY_PERMISSIONS) | {None}
    for method, path, rule in calls(api, world.arguments):
        if access_of(api, rule).public:
            continue
        response = ask(api, method, path, key, {"model": world.model_name, "input": "text"})
        where = f"{method} {path}: {response.status_code}"
        assert response.status_code < 500, where
        assert response.status_code != 401, where
        assert (response.status_code == 403) == (access_of(api, rule).permission not in allowed), where


def test_to_another_tenants_key_the_tenants_objects_do_not_exist(api, world, other_key):
    body = {"model": world.model_name, "input": "text"}
    # A model's name is the caller's own word, and may be repeated to them.
    told = {str(value) for name, value in world.arguments.items() if name != "model"}
    for method, path, rule in calls(api, world.arguments):
        if access_of(api, rule).public:
            continue
        response = ask(api, method, path, other_key, body)
        where = f"{method} {path}: {response.status_code}"
        if rule.arguments & world.arguments.keys():
            assert response.status_code == 404, where
        elif method == "GET":
            assert response.status_code == 200, where
            assert world.model_name not in response.get_data(as_text=True), where
        else:
            assert 400 <= response.status_code < 500, where
        assert not [value for value in told if value in response.get_data(as_text=True)], where


def test_a_view_that_does_not_say_who_may_use_it_stops_the_start():
    from flask import Flask

    from portal.access import require_stated_access

    app = Flask("silent", static_folder=None)
    app.add_url_rule("/", "silent", lambda: "")
    with pytest.raises(RuntimeError, match="silent"):
        require_stated_access(app)
