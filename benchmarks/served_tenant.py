"""Tenants of a running stack, each with a key and a model that answers."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.published_model import publish
from benchmarks.running_stack import Ports, running_stack
from billing.plans import subscribe
from core import api_keys
from core.api_keys import KeyLimits
from core.config import get_settings
from core.db import dispose_engines, operator_session, tenant_session
from core.tenancy import TenantScope, system_scope
from portal.accounts import sign_up

MODEL = "support"


@dataclass(frozen=True)
class ServedTenant:
    scope: TenantScope
    key: str
    digest: str
    """Of the adapter of its model MODEL."""

    @property
    def headers(self) -> dict[str, str]:
        """What a request to the API carries."""
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def reached_stack() -> Iterator[Ports]:
    """A stack as `make serve` starts it, which this process reaches too."""
    with tempfile.TemporaryDirectory(prefix="adaptary-bench-") as folder:
        state = Path(folder) / "state"
        with running_stack(state) as ports:
            os.environ["STATE_DIR"] = str(state)
            get_settings.cache_clear()
            try:
                yield ports
            finally:
                dispose_engines()
                del os.environ["STATE_DIR"]
                get_settings.cache_clear()


def make_tenant(name: str = "bench") -> ServedTenant:
    """A tenant on the largest plan, with a key and a model."""
    with operator_session("benchmark") as session:
        tenant, _ = sign_up(
            session,
            tenant_name=name,
            name=name,
            email=f"{name}@example.com",
            password=os.urandom(16).hex(),
        )
        subscribe(session, tenant.id, "scale")
        session.commit()
    scope = system_scope(tenant.id, "benchmark")
    with tenant_session(scope) as session:
        _, plain = api_keys.create(session, scope, name, limits=KeyLimits(10**6, 10**9))
        adapter = publish(session, scope, MODEL)
        session.commit()
    return ServedTenant(scope, plain, adapter.digest)
