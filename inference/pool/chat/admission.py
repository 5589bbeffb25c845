"""Which waiting request starts next, and when: fair between tenants, within the rows and the KV memory there are."""

from collections import Counter
from dataclasses import dataclass

from inference.pool.chat.requests import ChatRequest
from inference.pool.scheduler import FairScheduler, Work


@dataclass(frozen=True, slots=True)
class Admitted:
    """What may start now, with the tokens to reserve for it; and what has waited for too long."""

    request: ChatRequest | None
    tokens: int
    expired: list[ChatRequest]


class Admission:
    """The queues before the engine.

    A request costs its prompt and its longest answer, in tokens, and that is what the scheduler shares out. A tenant
    that has a row already must leave a quarter of the rows and of the memory free: so a tenant that floods the pool
    never holds all of it, and one that comes new finds room at once. The next request waits until it fits, however
    small those behind it are, or a large one would never start.
    """

    def __init__(self, *, rows: int, tokens: int, tenant_limit: int, total_limit: int) -> None:
        """`rows` and `tokens`: what the engine holds at most; the limits bound the queues, in tokens."""
        self._scheduler: FairScheduler[ChatRequest] = FairScheduler(
            tenant_limit=tenant_limit, total_limit=total_limit
        )
        self._free_rows, self._free_tokens = rows, tokens
        self._spare_rows, self._spare_tokens = rows // 4, tokens // 4
        self._live: Counter[str] = Counter()
        self._next: Work[ChatRequest] | None = None
        self._cancelled: set[str] = set()
        self._waiting: set[str] = set()

    def offer(self, request: ChatRequest, tokens: int) -> None:
        """Let `request` wait. Raises TenantQueueFull or PoolQueueFull."""
        work = Work(tokens, request.deadline, request)
        self._scheduler.offer(request.tenant, [work], weight=request.weight)
        self._waiting.add(request.id)

    def cancel(self, request_id: str) -> None:
        """Forget a request that waits; one that does not is no matter."""
        if request_id in self._waiting:
            self._cancelled.add(request_id)

    def take(self, now: float) -> Admitted:
        """The next request if it may start now, and those whose deadline `now` is past."""
        expired: list[ChatRequest] = []
        while True:
            if self._next is None:
                batch = self._scheduler.take_one(now, self._leaves_room)
                expired += [work.payload for work in batch.expired if self._still_wanted(work)]
                if not batch.work:
                    return Admitted(None, 0, expired)
                self._next = batch.work[0]
            work = self._next
            if work.payload.id in self._cancelled:
                self._next = None
                self._still_wanted(work)
            elif work.deadline <= now:
                self._next = None
                expired.append(work.payload)
                self._waiting.discard(work.payload.id)
            elif self._free_rows and work.tokens <= self._free_tokens:
                self._next = None
                self._start(work)
                return Admitted(work.payload, work.tokens, expired)
            else:
                return Admitted(None, 0, expired)

    def release(self, request: ChatRequest, tokens: int) -> None:
        """A request that was admitted has ended."""
        self._free_rows += 1
        self._free_tokens += tokens
        self._live[request.tenant] -= 1
        if not self._live[request.tenant]:
            del self._live[request.tenant]

    @property
    def waiting(self) -> int:
        """Requests that wait, those cancelled among them."""
        return len(self._waiting)

    @property
    def queued_tokens(self) -> int:
        return self._scheduler.queued_tokens + (self._next.tokens if self._next else 0)

    def queued_tenants(self) -> dict[str, int]:
        """Tokens waiting, by tenant, of the tenants that have any."""
        queued = Counter(self._scheduler.queued_tenants())
        if self._next:
            queued[self._next.payload.tenant] += self._next.tokens
        return dict(queued)

    def _leaves_room(self, tenant: str, work: Work[ChatRequest]) -> bool:
        return work.payload.id in self._cancelled or (
            not self._live[tenant]
            or (self._free_rows > self._spare_rows and self._free_tokens - work.tokens >= self._spare_tokens)
        )

    def _start(self, work: Work[ChatRequest]) -> None:
        self._free_rows -= 1
        self._free_tokens -= work.tokens
        self._live[work.payload.tenant] += 1
        self._waiting.discard(work.payload.id)

    def _still_wanted(self, work: Work[ChatRequest]) -> bool:
        """Whether a request that leaves the queue was not cancelled."""
        self._waiting.discard(work.payload.id)
        if work.payload.id in self._cancelled:
            self._cancelled.discard(work.payload.id)
            return False
        return True
