"""The whole API, and tenants' apps that call it with the openai package."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from flask import Flask
from openai import OpenAI
from werkzeug.test import TestResponse

from core import api_keys
from core.db import operator_session, tenant_session
from core.tenancy import TenantScope, system_scope
from portal.accounts import sign_up

PASSWORD = "correct horse battery"
_numbers = count(1)


@dataclass(frozen=True)
class App:
    """A tenant's app with a key that may manage, or not: its openai client, and plain requests."""

    scope: TenantScope
    key_id: UUID
    key: str
    api: Flask

    @property
    def openai(self) -> OpenAI:
        transport = httpx.WSGITransport(app=self.api)
        return OpenAI(
            api_key=self.key,
            base_url="http://api.example/v1",
            http_client=httpx.Client(transport=transport),  # type: ignore[arg-type]
            max_retries=0,
        )

    def ask(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}"}
        return self.api.test_client().open(path, method=method, headers=headers, **options)


@pytest.fixture(scope="session")
def api(services: object) -> Flask:
    from portal.api.app import create_api

    app = create_api()
    app.config["TESTING"] = True
    return app


@pytest.fixture
def make_app(api: Flask) -> Callable[..., App]:
    """`make_app()`: an app of a new tenant; `make_app(scope, may_manage=False)`: another key of that tenant."""

    def make_app(scope: TenantScope | None = None, *, may_manage: bool = True) -> App:
        scope = scope or new_tenant()
        with tenant_session(scope) as session:
            key, plain = api_keys.create(session, scope, "test", may_manage=may_manage)
            session.commit()
        return App(scope, key.id, plain, api)

    return make_app


@pytest.fixture
def app(make_app: Callable[[], App]) -> App:
    return make_app()


@pytest.fixture
def other_app(make_app: Callable[[], App]) -> App:
    return make_app()


def new_tenant() -> TenantScope:
    email = f"api{next(_numbers)}-{uuid4().hex[:8]}@example.com"
    with operator_session("test") as session:
        tenant, _ = sign_up(session, tenant_name=email, name="Ada", email=email, password=PASSWORD)
        session.commit()
    return system_scope(tenant.id, "test")
