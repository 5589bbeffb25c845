"""`python -m benchmarks.isolation_timing [COUNT]`: whether the time of an answer tells another tenant's from nobody's.

One tenant asks over HTTP, on a stack as `make serve` starts it, for a second tenant's file, batch, job and model, and
in turns for ones that are nowhere. Prints both means and their difference with its 95 % interval: one that holds zero
tells nothing. That both take the same statements is a test (tests/isolation); this is what is left.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from uuid import uuid4

import httpx

from benchmarks.machine import describe
from benchmarks.served_tenant import MODEL, make_tenant, reached_stack
from core import api_keys
from core.api_keys import KeyLimits
from core.catalogue import DEFAULT_BASE_MODEL
from core.db import tenant_session
from core.tenancy import TenantScope

COUNT = 2000
WARM_UP = 50
_Z = 1.96
_ID_DIGITS = 32
_LINE = {
    "custom_id": "1",
    "method": "POST",
    "url": "/v1/classify",
    "body": {"model": MODEL, "input": "Hello"},
}
_ROWS = [{"text": f"Text number {number}", "label": "ab"[number % 2]} for number in range(40)]


def main(count: int) -> None:
    print(describe(), flush=True)
    with reached_stack() as ports:
        base = f"http://127.0.0.1:{ports.api}"
        asking, other = (_client(base, make_tenant(name).scope) for name in ("asking", "other"))
        with asking, other:
            asking.delete(f"/v1/models/{MODEL}").raise_for_status()  # only the other has one of that name
            print(f"{'':8}{'theirs ms':>12}{'nowhere ms':>12}{'difference µs':>16}   95 % interval µs")
            for name, path in _objects(other).items():
                _show(name, _times(asking, path, count))


def _client(base: str, scope: TenantScope) -> httpx.Client:
    """An app of the tenant that may do everything that keys may."""
    with tenant_session(scope) as session:
        _, plain = api_keys.create(session, scope, "timing", may_manage=True, limits=KeyLimits(10**6, 10**9))
        session.commit()
    return httpx.Client(base_url=base, headers={"Authorization": f"Bearer {plain}"}, timeout=30)


def _objects(other: httpx.Client) -> dict[str, str]:
    """The paths of some of the other tenant's objects, by what they are; each ends with the object's id or name."""
    lines, rows = _upload(other, "batch", [_LINE]), _upload(other, "fine-tune", _ROWS)
    batch = other.post(
        "/v1/batches", json={"input_file_id": lines, "endpoint": "/v1/classify", "completion_window": "24h"}
    )
    job = other.post("/v1/fine_tuning/jobs", json={"training_file": rows, "model": DEFAULT_BASE_MODEL})
    return {
        "file": f"/v1/files/{lines}",
        "batch": f"/v1/batches/{batch.raise_for_status().json()['id']}",
        "job": f"/v1/fine_tuning/jobs/{job.raise_for_status().json()['id']}",
        "model": f"/v1/models/{MODEL}",
    }


def _upload(client: httpx.Client, purpose: str, lines: Sequence[object]) -> str:
    content = "\n".join(map(json.dumps, lines)).encode()
    answer = client.post("/v1/files", data={"purpose": purpose}, files={"file": ("lines.jsonl", content)})
    file_id: str = answer.raise_for_status().json()["id"]
    return file_id


def _times(client: httpx.Client, theirs: str, count: int) -> Mapping[bool, list[float]]:
    """Seconds that an answer took, by whether it was for the other tenant's; which comes first is drawn each time."""
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(WARM_UP + count):
        nowhere = _nowhere_like(theirs)
        for is_theirs in random.sample((True, False), 2):
            begun = time.perf_counter()
            response = client.get(theirs if is_theirs else nowhere)
            seconds = time.perf_counter() - begun
            if response.status_code != 404:
                raise RuntimeError(f"{response.request.url}: {response.status_code} {response.text}")
            if number >= WARM_UP:
                took[is_theirs].append(seconds)
    return took


def _nowhere_like(path: str) -> str:
    """A path of the same form and length to what there is not."""
    folder, _, name = path.rpartition("/")
    digits = min(_ID_DIGITS, len(name))
    return f"{folder}/{name[:-digits]}{uuid4().hex[:digits]}"


def _show(name: str, took: Mapping[bool, Sequence[float]]) -> None:
    differences = [(one - none) * 1e6 for one, none in zip(took[True], took[False], strict=True)]
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5
    print(
        f"{name:8}{statistics.fmean(took[True]) * 1e3:12.3f}{statistics.fmean(took[False]) * 1e3:12.3f}{mean:16.1f}"
        f"   {mean - _Z * error:.1f} to {mean + _Z * error:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else COUNT)
