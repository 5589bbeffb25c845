"""What the gateway adds to a request: key, limits, model, policy, personal data, ticket and ledger.

One text is classified in turns by the API and by the pool alone, on a stack as `make serve` starts it: gunicorn, a
Postgres that syncs each commit to disk, Valkey. The ledger's write and the search for personal data are timed by
themselves in the same turns, in this process.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import httpx

from benchmarks.results import Row
from benchmarks.running_stack import Ports
from benchmarks.served_tenant import MODEL, ServedTenant, make_tenant, reached_stack
from billing.ledger import Usage, record
from core.catalogue import DEFAULT_BASE_MODEL
from core.config import get_settings
from core.db import tenant_session
from core.models.usage import UsageKind, UsageSource
from core.privacy.detect import warm_up
from core.privacy.entities import DEFAULT_POLICY
from core.storage import tenant_key
from inference.gateway.protect import protect
from inference.gateway.request_id import new_request_id
from inference.tickets import LIFETIME_SECONDS, Ticket, Use, sign

TEXT = "Where is my parcel? It was due on Monday, and nobody answers the phone."
ROUNDS, QUICK_ROUNDS = 400, 150
WARM_UP = 30
AIM_MS = 3.0


def measure(quick: bool) -> Iterator[Row]:
    """The median of a request by the gateway, less the pool's and the ledger's part."""
    with reached_stack() as ports:
        warm_up()
        took = race(_contenders(make_tenant(), ports), QUICK_ROUNDS if quick else ROUNDS)
    beyond = took["gateway"] - took["pool"] - took["ledger"]
    setting = (
        "one text, one connection, medians: "
        f"by the gateway {took['gateway']:.2f} ms, by the pool alone {took['pool']:.2f} ms, "
        f"the durable ledger write {took['ledger']:.2f} ms, which is taken off; "
        f"Aim: {AIM_MS:g} ms or less"
    )
    yield Row("gateway/overhead-ms", round(beyond, 2), None, None, "ms", setting)
    part = "of gateway/overhead-ms, the search for personal data in the text, by itself in the same turns"
    yield Row("gateway/personal-data-ms", round(took["personal data"], 2), None, None, "ms", part)


def _contenders(tenant: ServedTenant, ports: Ports) -> dict[str, Callable[[], object]]:
    client = httpx.Client(timeout=30, trust_env=False)
    with tenant_session(tenant.scope) as session:
        key = tenant_key(session, tenant.scope.tenant_id)

    def gateway() -> object:
        body = {"model": MODEL, "input": TEXT}
        return client.post(
            f"http://127.0.0.1:{ports.api}/v1/classify", json=body, headers=tenant.headers
        ).raise_for_status()

    def pool() -> object:
        ticket = Ticket(
            use=Use.PREDICT,
            tenant=str(tenant.scope.tenant_id),
            request=new_request_id(),
            expires=time.time() + LIFETIME_SECONDS,
            adapter=tenant.digest,
            base=DEFAULT_BASE_MODEL,
        )
        return client.post(
            f"http://127.0.0.1:{ports.pool}/v1/classify",
            json={"texts": [TEXT], "truncate": False},
            headers={"X-Ticket": sign(ticket, get_settings().pool_ticket_key)},
        ).raise_for_status()

    def ledger() -> object:
        usage = Usage(new_request_id(), UsageKind.PREDICTION, 20, UsageSource.API)
        with tenant_session(tenant.scope) as session:
            record(session, tenant.scope.tenant_id, usage)
            session.commit()
        return None

    return {
        "gateway": gateway,
        "pool": pool,
        "ledger": ledger,
        "personal data": lambda: protect([TEXT], DEFAULT_POLICY, key),
    }


def race(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Each contender's median in milliseconds, in rounds that take turns."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(WARM_UP + rounds):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            if number >= WARM_UP:
                taken[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}
