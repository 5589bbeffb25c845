"""The API's reference in the portal."""

from core.db import tenant_session
from core.models.models import Adapter, Model
from core.tenancy import Role
from portal.api.app import description
from tests.world import build_world


def test_the_reference_lists_every_call_and_says_what_to_do_without_a_model(admin):
    page = admin.client.get("/docs/api").get_data(as_text=True)
    assert "your-model" in page
    for path, operations in description()["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}" in page


def test_the_programs_name_the_tenants_own_model(admin):

    world = build_world(admin.scope)
    with tenant_session(admin.scope) as session:
        model = session.get_one(Model, world.arguments["model_id"])
        model.current_adapter_id = session.get_one(Adapter, world.arguments["adapter_id"]).id
        session.commit()
    page = admin.client.get("/docs/api").get_data(as_text=True)
    assert "&#34;model&#34;: &#34;messages&#34;" in page
    assert "your-model" not in page


def test_the_webhooks_secret_is_shown_to_those_alone_who_may_make_keys(admin, member):
    assert "whsec_" in admin.client.get("/docs/api").get_data(as_text=True)
    assert "whsec_" not in member(Role.VIEWER).client.get("/docs/api").get_data(as_text=True)
