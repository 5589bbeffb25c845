"""The pool's server against other servers of classifiers, over HTTP.

The pool serves eight tenants' adapters; a peer serves eight models, each with one of these adapters merged into the base,
or is asked for one of them alone. A request holds one text. What is asked is the server that holds the models: of ours
the pool, without the gateway, which the peers have no counterpart of. Servers take turns under the same load.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.encoder_models import RANK, PeftTenants
from benchmarks.http_load import load
from benchmarks.peer_servers import PeerServer, flask_pipeline, infinity
from benchmarks.peer_venv import PeerUnavailable
from benchmarks.pool_server import PoolServer, pool_server
from benchmarks.results import Row, counted

TENANTS = 8
CONNECTIONS = 32

PEERS = (("infinity", infinity, (TENANTS, 1)), ("flask-pipeline", flask_pipeline, (TENANTS,)))
"""A peer's name, what starts it with models, and how many of them it is asked for."""

_WORDS = "where is my order and when does the parcel come to my city i want it back".split()


@dataclass(frozen=True)
class Contender:
    """A server that is asked to classify a text for one of so many tenants: its port, and the request for it."""

    name: str
    port: int
    tenants: int
    request: Callable[[int, str], bytes]

    def rate(self, seed: int, seconds: float) -> float:
        """Requests a second that it answers. The same seed gives the same texts.

        Raises RuntimeError if it refuses one.
        """
        choose = random.Random(seed)

        def ask() -> bytes:
            text = " ".join(choose.choices(_WORDS, k=choose.randint(6, 62)))
            return self.request(choose.randrange(TENANTS) % self.tenants, text)

        started = time.perf_counter()
        done = asyncio.run(load(self.port, ask, connections=CONNECTIONS, seconds=seconds))
        if done.refused:
            raise RuntimeError(f"{self.name} refused requests, by status: {done.refused}")
        return len(done.seconds) / (time.perf_counter() - started)


def measure(quick: bool) -> Iterator[Row]:
    """Requests a second of the pool and of each peer that can be had."""
    rounds, seconds = (2, 4.0) if quick else (5, 10.0)
    with tempfile.TemporaryDirectory(prefix="adaptary-bench-") as folder, ExitStack() as running:
        peft = PeftTenants.make(TENANTS)
        ours = _ours(running.enter_context(pool_server()), peft)
        peers = list(_peers(running, peft, Path(folder)))
        own, *others = _race([ours, *peers], rounds, seconds)
    for peer, rates in zip(peers, others, strict=True):
        yield Row(
            name=peer.name,
            ours=statistics.median(own),
            peer=statistics.median(rates),
            ratio=statistics.median(a / b for a, b in zip(own, rates, strict=True)),
            unit="requests/s",
            setting=(
                f"over HTTP on {CONNECTIONS} connections, a text of 8 to 64 tokens each; ours: the pool with {TENANTS} "
                f"tenants' adapters of rank {RANK}; peer: {counted(peer.tenants, 'merged model')}; median of {rounds} times {seconds:g} s"
            ),
        )


def _ours(pool: PoolServer, peft: PeftTenants) -> Contender:
    digests = [pool.put(str(tenant), peft.adapter_file(tenant)) for tenant in range(TENANTS)]
    return Contender(
        "pool", pool.port, TENANTS, lambda tenant, text: pool.classify(str(tenant), digests[tenant], [text])
    )


def _peers(running: ExitStack, peft: PeftTenants, folder: Path) -> Iterator[Contender]:
    models = [folder / f"tenant-{tenant}" for tenant in range(TENANTS)]
    for tenant, model in enumerate(models):
        peft.save_merged(tenant, model)
    for name, start, counts in PEERS:
        try:
            server = running.enter_context(start(models))
        except PeerUnavailable as error:
            print(f"server/{TENANTS}/{name} is left out: {error}.", flush=True)
            continue
        for count in counts:
            yield Contender(f"server/{count}/{name}", server.port, count, _asking(server))


def _asking(server: PeerServer) -> Callable[[int, str], bytes]:
    return lambda tenant, text: server.classify(server.models[tenant], text)


def _race(contenders: Sequence[Contender], rounds: int, seconds: float) -> list[list[float]]:
    """Each contender's requests a second, by round; a first second warms it up."""
    for contender in contenders:
        contender.rate(0, 1.0)
    by_round = [[contender.rate(number, seconds) for contender in contenders] for number in range(rounds)]
    return [list(rates) for rates in zip(*by_round, strict=True)]
