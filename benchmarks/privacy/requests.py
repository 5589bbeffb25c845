"""What protection adds to a request, on a mix of requests to a running stack.

Of ten requests eight classify one short text, one a text of 170 words, and one asks a chat model for 32 tokens. Two
tenants ask in turns, of which one has switched protection off.
"""

from collections.abc import Callable, Iterator

import httpx

from benchmarks.gateway_overhead import TEXT, race
from benchmarks.results import Row
from benchmarks.served_tenant import MODEL, ServedTenant, make_tenant, reached_stack
from core.catalogue import DEFAULT_CHAT_MODEL
from core.db import tenant_session
from core.privacy.policies import change_policy

AIM = 1.15
_ROUNDS = 40
_MIX = {"short": 8, "long": 1, "chat": 1}
_LONG = " ".join([TEXT] * 12)
_OFF = "The benchmark compares with requests that are not searched."


def measure() -> Iterator[Row]:
    """The ratio on the mix, and of each of its parts."""
    with reached_stack() as ports, httpx.Client(timeout=120, trust_env=False) as client:
        api = f"http://127.0.0.1:{ports.api}/v1"
        with_it, without = make_tenant("protected"), make_tenant("open")
        with tenant_session(without.scope) as session:
            change_policy(session, without.scope, entities=[], enabled=False, reason=_OFF)
            session.commit()
        asked = {
            f"{kind} {name}": _ask(client, api, kind, tenant)
            for kind in _MIX
            for name, tenant in (("with", with_it), ("without", without))
        }
        took = race(asked, _ROUNDS)
    for kind in _MIX:
        yield _row(f"privacy/request/{kind}", took[f"{kind} with"], took[f"{kind} without"], "a median")
    with_mean, without_mean = (
        sum(took[f"{kind} {name}"] * weight for kind, weight in _MIX.items()) / sum(_MIX.values())
        for name in ("with", "without")
    )
    setting = f"medians, of ten requests {', '.join(f'{count} {kind}' for kind, count in _MIX.items())}"
    yield _row("privacy/request/mix", with_mean, without_mean, f"{setting}; Aim: {AIM:g} times at most")


def _ask(client: httpx.Client, api: str, kind: str, tenant: ServedTenant) -> Callable[[], object]:
    if kind == "chat":
        path = "chat/completions"
        body = {
            "model": DEFAULT_CHAT_MODEL,
            "max_tokens": 32,
            "temperature": 0,
            "messages": [{"role": "user", "content": TEXT}],
        }
    else:
        path, body = "classify", {"model": MODEL, "input": TEXT if kind == "short" else _LONG}
    return lambda: client.post(f"{api}/{path}", json=body, headers=tenant.headers).raise_for_status()


def _row(name: str, ours: float, without: float, setting: str) -> Row:
    times = f"{ours / without:.2f} times the request without protection"
    return Row(name, round(ours, 2), round(without, 2), round(without / ours, 3), "ms", f"{times}; {setting}")
