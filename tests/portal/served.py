"""The portal and the API in this process, served over HTTP: with Stripe's stand-in behind them, at a time that moves."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from flask import Flask
from werkzeug.serving import make_server

from core.clock import now
from core.queues import Queue
from portal import periodic
from stack.ports import HOST
from tests.api.workers import work_off
from tests.fake_stripe.account import Object
from tests.fake_stripe.fixtures import WEBHOOK_SECRET
from tests.fake_stripe.server import FakeStripe
from tests.fake_stripe.webhooks import signed


@contextmanager
def serving(app: Flask, port: int) -> Iterator[None]:
    """Serve an app on a port, in threads of this process."""
    server = make_server(HOST, port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class World:
    """One time for us and for Stripe, and the webhooks in between."""

    def __init__(self, fake: FakeStripe, portal_url: str, patch: pytest.MonkeyPatch) -> None:
        self._fake = fake
        self._webhook = f"{portal_url}/webhooks/stripe"
        self._ahead = timedelta(0)
        patch.setattr("core.clock.datetime", self._clock())
        fake.account.frozen = int(now().timestamp())

    def _clock(self) -> type[datetime]:
        ahead: Callable[[], timedelta] = lambda: self._ahead  # noqa: E731

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + ahead()

        return Shifted

    def connect(self) -> None:
        """From now on, Stripe tells of what happens."""
        self._fake.listen(self._tell)

    def _tell(self, event: Object) -> None:
        body, signature = signed(event, WEBHOOK_SECRET)
        headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
        assert httpx.post(self._webhook, content=body, headers=headers).status_code == 200

    def travel(self, to: datetime) -> None:
        """Let time pass here and at Stripe, and then let the clock and the worker do what is due."""
        self._ahead += to - now()
        self._fake.travel(int(to.timestamp()))
        self.work()

    def work(self) -> None:
        """What the clock and the billing worker do within a minute."""
        work_off(Queue.BILLING)
        for task in (
            periodic.report_usage,
            periodic.close_month,
            periodic.ring_for_stripe,
            periodic.ring_for_stripe_invoices,
            periodic.refresh_standing,
        ):
            task()
            work_off(Queue.BILLING)
