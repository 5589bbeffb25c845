"""What Prometheus sees of the pool: counted by tier, never by tenant or key."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class PoolMetrics:
    """A registry of its own, so that two pools in one process (tests) do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pool_requests", "Requests by tier and outcome", ["tier", "outcome"], registry=self.registry
        )
        self.rows = Counter("pool_rows", "Texts read, by tier", ["tier"], registry=self.registry)
        self.tokens = Counter("pool_tokens", "Tokens read, by tier", ["tier"], registry=self.registry)
        self.chat_tokens = Counter(
            "pool_chat_tokens",
            "Tokens of chats that were read and written, by tier",
            ["tier", "direction"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "pool_request_seconds",
            "Time in the pool of requests that were answered, by tier",
            ["tier"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "pool_batch_seconds", "Time of a batch in the engine", buckets=_SECONDS, registry=self.registry
        )
        self.batch_tokens = Histogram(
            "pool_batch_tokens", "Tokens of a batch", buckets=_TOKENS, registry=self.registry
        )
        self.engine_deaths = Counter(
            "pool_engine_deaths", "Engines that ended and were started again", registry=self.registry
        )
        self.queued_tokens = Gauge("pool_queued_tokens", "Tokens that wait", registry=self.registry)
        self.adapters = Gauge("pool_adapters", "Adapters in memory", registry=self.registry)
        self.adapter_bytes = Gauge(
            "pool_adapter_bytes", "Bytes of the adapters in memory", registry=self.registry
        )
