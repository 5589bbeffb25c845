"""What Prometheus sees of the API: counted by the tenant's plan, never by tenant or key."""

import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_NO_PLAN = "none"
_NO_ROUTE = "none"


class ApiMetrics:
    """A registry of its own, so that two apps in one process (tests) do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "api_requests",
            "Requests by plan, route and status",
            ["plan", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "api_request_seconds",
            "Time until an answer, or its first piece, by plan and route",
            ["plan", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def init_app(self, app: Flask) -> None:
        """Count every answer. `g.started` is when its request came."""

        @app.after_request
        def count(response: Response) -> Response:
            # The rule, not the path: what a client makes up must not become a label.
            route = request.url_rule.rule if request.url_rule else _NO_ROUTE
            plan = g.plan_limits.plan_code if "plan_limits" in g else _NO_PLAN
            self.requests.labels(plan, route, str(response.status_code)).inc()
            self.seconds.labels(plan, route).observe(time.perf_counter() - g.started)
            return response
