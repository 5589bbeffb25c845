"""The pool's settings: read from its own few variables, so that it holds neither the database's URL nor the
master key."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.catalogue import DEFAULT_BASE_MODEL, DEFAULT_CHAT_MODEL
from inference.pool.precision import Precision

MINIMUM_KEY_LENGTH = 32
_BASE_MODELS = f"{DEFAULT_BASE_MODEL},{DEFAULT_CHAT_MODEL}"


class PoolConfigError(Exception):
    """The pool's environment lacks variables or holds wrong ones; the message names every one of them."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What the pool needs to know. Each field's variable is POOL_ and its name, upper-cased, unless said
    otherwise.

    `batch_tokens` bounds a batch, and about half of it what one tenant alone gets of one: larger ones gain little
    throughput and keep the next request waiting longer. The queues are bounded in tokens, a tenant's own and all together;
    `adapter_bytes` bounds the adapters in memory. Each of `engines` is a process that runs one batch at a time on `threads`
    cores. `precision` is that of the base models' products: bf16 is faster where the processor has it, and moves results
    a little.

    A chat model has a process of its own: `chat_rows` and `chat_kv_tokens` bound the answers that it writes at once and
    their keys' and values' memory, `chat_chunk_tokens` how much of a prompt it reads between two tokens of the others.
    """

    ticket_key: str = field(repr=False)
    host: str
    port: int
    base_models: tuple[str, ...]
    adapter_bytes: int
    batch_tokens: int
    tenant_queue_tokens: int
    queue_tokens: int
    engines: int
    threads: int
    precision: Precision
    chat_rows: int
    chat_kv_tokens: int
    chat_chunk_tokens: int
    log_level: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "PoolSettings":
        """Read and check the environment; LOG_LEVEL is shared with the other processes.

        Raises PoolConfigError naming every missing or wrong variable at once.
        """
        problems: list[str] = []

        def positive(name: str, default: int) -> int:
            value = environ.get(name) or str(default)
            if value.isascii() and value.isdecimal() and int(value) > 0:
                return int(value)
            problems.append(f"  {name}: {value!r} is not a positive whole number")
            return default

        key = environ.get("POOL_TICKET_KEY", "")
        if len(key) < MINIMUM_KEY_LENGTH:
            problems.append(f"  POOL_TICKET_KEY: missing, or shorter than {MINIMUM_KEY_LENGTH} characters")
        name = environ.get("POOL_PRECISION") or Precision.FP32
        precision = Precision(name) if name in list(Precision) else Precision.FP32
        if name not in list(Precision):
            problems.append(f"  POOL_PRECISION: {name!r} is neither fp32 nor bf16")
        settings = cls(
            ticket_key=key,
            host=environ.get("POOL_HOST") or "127.0.0.1",
            port=positive("POOL_PORT", 8002),
            base_models=tuple((environ.get("POOL_BASE_MODELS") or _BASE_MODELS).split(",")),
            adapter_bytes=positive("POOL_ADAPTER_BYTES", 1 << 30),
            batch_tokens=positive("POOL_BATCH_TOKENS", 192),
            tenant_queue_tokens=positive("POOL_TENANT_QUEUE_TOKENS", 1 << 16),
            queue_tokens=positive("POOL_QUEUE_TOKENS", 1 << 18),
            engines=positive("POOL_ENGINES", len(os.sched_getaffinity(0))),
            threads=positive("POOL_THREADS", 1),
            precision=precision,
            chat_rows=positive("POOL_CHAT_ROWS", 16),
            chat_kv_tokens=positive("POOL_CHAT_KV_TOKENS", 16384),
            chat_chunk_tokens=positive("POOL_CHAT_CHUNK_TOKENS", 64),
            log_level=(environ.get("LOG_LEVEL") or "INFO").upper(),
        )
        if problems:
            raise PoolConfigError("Set these environment variables:\n" + "\n".join(problems))
        return settings
