"""A real pool, the API in front of it, and tenants with trained models."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from core import api_keys
from core.catalogue import DEFAULT_BASE_MODEL, DEFAULT_CHAT_MODEL, default_base_model
from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob, JobStatus, Method
from core.models.models import Adapter, Model
from core.models.usage import UsageFact
from core.storage import blob_store, tenant_key
from core.tenancy import TenantScope, system_scope
from inference.gateway.pool_client import pool_client
from portal.accounts import sign_up
from tests.inference.adapter_files import Reference
from tests.inference.api_process import ApiProcess
from tests.inference.chat_files import ChatReference
from tests.inference.pool_process import PoolProcess

PASSWORD = "correct horse battery"
_numbers = count(1)


@dataclass(frozen=True)
class Caller:
    """A tenant's app: its scope, its admin's address, its key, and requests with that key."""

    scope: TenantScope
    email: str
    key_id: UUID
    key: str
    client: FlaskClient

    def classify(self, model: object, input: object, **fields: Any) -> TestResponse:
        return self.post({"model": model, "input": input, **fields})

    def post(self, body: object, path: str = "/v1/classify") -> TestResponse:
        return self.client.post(path, json=body, headers=self.headers)

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def facts(self) -> list[UsageFact]:
        """What the ledger holds of this tenant."""
        with tenant_session(self.scope) as session:
            return list(session.scalars(select(UsageFact).order_by(UsageFact.recorded_at)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have one worker run all that uses these pools: each worker would start its own, for minutes."""
    for item in items:
        if {"shared_pool", "whole_pool"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("pool"))


@pytest.fixture(scope="session")
def shared_pool(services: object) -> Iterator[PoolProcess]:
    """One pool for all tests; this process's settings point at it."""
    process = PoolProcess(key=get_settings().pool_ticket_key)
    os.environ["POOL_URL"] = process.url
    get_settings.cache_clear()
    pool_client.cache_clear()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def api(shared_pool: PoolProcess) -> Flask:
    from inference.gateway.app import create_api

    app = create_api()
    app.config["TESTING"] = True
    return app


@pytest.fixture(scope="session")
def whole_pool(services: object) -> Iterator[PoolProcess]:
    """A pool that chats too; it takes a while to start."""
    process = PoolProcess(
        key=get_settings().pool_ticket_key, POOL_BASE_MODELS=f"{DEFAULT_BASE_MODEL},{DEFAULT_CHAT_MODEL}"
    )
    yield process
    process.stop()


@pytest.fixture(scope="session")
def api_server(whole_pool: PoolProcess) -> Iterator[ApiProcess]:
    """The API in two processes that any client can talk to, in front of a pool that chats too."""
    process = ApiProcess(POOL_URL=whole_pool.url)
    yield process
    process.kill()


@pytest.fixture(scope="session")
def support() -> Reference:
    """A model of support messages."""
    return Reference(["delivery", "other", "refund"], seed=11)


@pytest.fixture
def caller(api: Flask) -> Caller:
    """An app of a new tenant."""
    return new_caller(api)


@pytest.fixture
def other_caller(api: Flask) -> Caller:
    """An app of another new tenant."""
    return new_caller(api)


def new_caller(api: Flask) -> Caller:
    with operator_session("test") as session:
        email = f"app{next(_numbers)}-{uuid4().hex[:8]}@example.com"
        tenant, _ = sign_up(session, tenant_name=email, name="Ada", email=email, password=PASSWORD)
        session.commit()
    scope = system_scope(tenant.id, "test")
    with tenant_session(scope) as session:
        key, plain = api_keys.create(session, scope, "test")
        session.commit()
    return Caller(scope, email, key.id, plain, api.test_client())


def publish(
    scope: TenantScope, name: str, reference: Reference | ChatReference, file: bytes | None = None
) -> Adapter:
    """Give the tenant a trained model `name`, as a finished job would leave it."""
    file = reference.file() if file is None else file
    tenant_id = scope.tenant_id
    with tenant_session(scope) as session:

        def owned(row: Any) -> Any:
            row.tenant_id = tenant_id
            session.add(row)
            session.flush()
            return row

        dataset = owned(Dataset(name=f"Messages {uuid4().hex[:8]}"))
        version = owned(
            DatasetVersion(
                dataset_id=dataset.id,
                number=1,
                status=DatasetStatus.READY,
                format="csv",
                size_bytes=100,
            )
        )
        base = default_base_model(reference.task)
        model = session.scalar(select(Model).where(Model.name == name)) or owned(
            Model(name=name, task=reference.task, base_model=base.id)
        )
        job = owned(
            FineTuneJob(
                model_id=model.id,
                dataset_version_id=version.id,
                base_model=base.id,
                settings={},
                seed=0,
                status=JobStatus.SUCCEEDED,
                finished_at=now(),
            )
        )
        adapter_id = uuid4()
        blob = blob_store().put(tenant_key(session, tenant_id), f"adapters/{adapter_id}.safetensors", file)
        adapter = owned(
            Adapter(
                id=adapter_id,
                model_id=model.id,
                job_id=job.id,
                version=len(list(session.scalars(select(Adapter).where(Adapter.model_id == model.id)))) + 1,
                digest=sha256(file).hexdigest(),
                blob=blob.name,
                size_bytes=len(file),
                base_model=base.id,
                base_digest=base.sha256,
                method=Method(reference.method),
                rank=reference.rank,
                labels=list(reference.labels),
                evaluation={},
                lineage={},
                promotable=True,
            )
        )
        model.current_adapter_id = adapter.id
        session.commit()
        return adapter  # type: ignore[no-any-return]
