"""What the tests of hardening share: the API's app, and one of everything in a tenant."""

import pytest

from portal.api.app import create_api
from tests.world import build_world


@pytest.fixture(scope="module")
def api(services):
    app = create_api()
    app.config["TESTING"] = True
    return app


@pytest.fixture
def world(admin):
    return build_world(admin.scope)
