"""The operator's commands: JSON for scripts, and a plain error where something is wrong."""

import json
from datetime import timedelta
from uuid import UUID

import pytest

from core import api_keys
from core.catalogue import DEFAULT_CHAT_MODEL, Task
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.api_keys import ApiKey
from core.models.models import Model
from core.tenancy import Endpoint, Reach, system_scope
from tests.people import PASSWORD


@pytest.fixture
def run(portal):
    """`run(*arguments)`: the command's result; its JSON is in `json.loads(result.output)`."""

    def run(*arguments, **options):
        return portal.test_cli_runner().invoke(args=arguments, **options)

    return run


def test_a_tenant_and_its_key_from_the_command_line(run, client):
    tenant = json.loads(run("tenant", "create", "Acme", "--email", "ada@example.com").output)
    answer = client.post("/login", data={"email": tenant["email"], "password": tenant["password"]})
    assert answer.status_code == 303

    key = json.loads(run("key", "create", tenant["tenant_id"], "--name", "Help desk").output)
    with operator_session("test") as session:
        verified = api_keys.verify(session, key["key"])
    assert str(verified.scope.tenant_id) == tenant["tenant_id"]


def test_a_keys_default_model_is_one_of_the_tenants_chat_models(run):
    tenant = json.loads(run("tenant", "create", "Acme", "--email", "ada@example.com").output)
    scope = system_scope(UUID(tenant["tenant_id"]), "test")
    with tenant_session(scope) as session:
        model = Model(tenant_id=scope.tenant_id, name="faq", task=Task.CHAT, base_model=DEFAULT_CHAT_MODEL)
        session.add(model)
        session.commit()
    command = ("key", "create", tenant["tenant_id"], "--name", "Shop", "--default-model")
    key = json.loads(run(*command, "faq").output)
    with operator_session("test") as session:
        assert api_keys.verify(session, key["key"]).default_model_id == model.id
    assert "The tenant has no chat model 'other'" in run(*command, "other").output


def test_a_keys_settings_come_as_options(run):
    tenant = json.loads(run("tenant", "create", "Acme", "--email", "ada@example.com").output)
    command = ("key", "create", tenant["tenant_id"], "--name", "Shop")
    limits = ("--model", DEFAULT_CHAT_MODEL, "--endpoint", "chat", "--network", "203.0.113.7")
    made = json.loads(run(*command, *limits, "--manage", "--no-predict", "--expires-in-days", "2").output)
    with operator_session("test") as session:
        key = session.get_one(ApiKey, UUID(made["key_id"]))
        reach = api_keys.reach_of(session, key)
    assert reach == Reach(frozenset([DEFAULT_CHAT_MODEL]), frozenset([Endpoint.CHAT]))
    assert (key.networks, key.may_manage, key.may_predict) == (["203.0.113.7/32"], True, False)
    assert key.expires_at is not None
    assert timedelta(hours=47) < key.expires_at - now() < timedelta(hours=49)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "absent"), "There is no model 'absent'"),
        (("--endpoint", "guess"), "is not one of"),
        (("--network", "nonsense"), "is no address or network"),
        (("--expires-in-days", "0"), "is not in the range"),
        (("--no-predict",), "good for nothing"),
    ],
)
def test_wrong_settings_of_a_key_make_none_and_are_named(run, options, words):
    tenant = json.loads(run("tenant", "create", "Acme", "--email", "ada@example.com").output)
    result = run("key", "create", tenant["tenant_id"], "--name", "Shop", *options)
    assert result.exit_code != 0
    assert words in result.output


def test_a_password_may_come_by_the_environment(run, client):
    result = run(
        "staff", "create", "Joan", "--email", "joan@operator.example", env={"ADAPTARY_PASSWORD": PASSWORD}
    )
    assert result.exit_code == 0
    answer = client.post("/login", data={"email": "joan@operator.example", "password": PASSWORD})
    assert answer.location == "/operator/tenants"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tenant", "create", "Acme", "--email", "nobody"), "Enter an e-mail address"),
        (("tenant", "create", "Acme", "--email", "a@example.com", "--password", "short"), "Use 10 to 200"),
        (("key", "create", "00000000-0000-0000-0000-000000000000", "--name", "x"), "There is no tenant"),
        (("key", "create", "nonsense", "--name", "x"), "not a valid UUID"),
        (
            (
                "key",
                "create",
                "00000000-0000-0000-0000-000000000000",
                "--name",
                "x",
                "--tokens-per-minute",
                "0",
            ),
            "x>=1",
        ),
        (("staff", "create", "Joan", "--email", "joan@example.com", "--role", "queen"), "queen"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(run, arguments, message):
    result = run(*arguments)
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output
