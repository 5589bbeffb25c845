"""Whose work runs next: weighted deficit round robin between tenants, by tokens, with bounded queues.

Each visit of the round lets a tenant run `quantum` × weight tokens more, and what it does not use it keeps
while it still has work waiting. So over time tenants with waiting work get tokens in proportion to their
weights, however much one of them asks and however long its texts are (Shreedhar and Varghese, "Efficient
Fair Queuing using Deficit Round Robin", 1996). A batch visits each tenant once at most, so that a flood of one alone makes
short batches: whoever comes next waits until the one that runs has ended. Pure bookkeeping: no clock, no threads, no torch.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_TENANT_FULL = "This tenant's queue is full."
_DRAINED = 0.125
"""The share of its limit by which a full queue drains before it is open again: enough for requests of usual sizes."""


class QueueFull(Exception):
    """There is no room for the work now; `queued_tokens` are waiting in the queue that is full."""

    def __init__(self, message: str, queued_tokens: int) -> None:
        super().__init__(message)
        self.queued_tokens = queued_tokens


class TenantQueueFull(QueueFull):
    """The tenant's own queue is full: it asks for more than its share."""


class PoolQueueFull(QueueFull):
    """All queues together are full: the pool is asked for more than it can do."""


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """One row to run: what it costs in tokens (at least 1), and when (same clock as `take`'s `now`) it is
    too late."""

    tokens: int
    deadline: float
    payload: T


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What `take` chose to run, and what it found too late to run."""

    work: list[Work[T]]
    expired: list[Work[T]]


@dataclass(slots=True)
class _TenantQueue(Generic[T]):
    tenant: str
    weight: int
    work: deque[Work[T]] = field(default_factory=deque)
    tokens: int = 0
    deficit: int = 0
    credited: bool = False
    """Whether this visit's quantum was given: a visit that a full batch cut short goes on in the next
    batch."""
    newcomer: bool = True
    """Whether it has been idle, and nothing of it has run since."""
    overflowed: bool = False
    """Whether it was full, and has not drained since."""


class FairScheduler(Generic[T]):
    """Queues of work by tenant. Not thread-safe: one thread, or one event loop, owns it."""

    def __init__(self, *, tenant_limit: int, total_limit: int, quantum: int = 64) -> None:
        """Limits and quantum are in tokens. A large quantum serves short requests whole; a smaller one mixes more tenants
        into each batch, and ends batches of a single tenant sooner."""
        if min(tenant_limit, total_limit, quantum) < 1:
            raise ValueError("Limits and quantum must be at least 1 token.")
        self._tenant_limit = tenant_limit
        self._total_limit = total_limit
        self._quantum = quantum
        self._queues: dict[str, _TenantQueue[T]] = {}
        self._round: deque[_TenantQueue[T]] = deque()
        self.queued_tokens = 0

    def offer(self, tenant: str, work: Sequence[Work[T]], *, weight: int = 1) -> None:
        """Queue all of `work`, or none of it.

        Raises TenantQueueFull or PoolQueueFull. A request larger than a limit is still admitted to an empty
        queue, or it could never run.
        """
        if weight < 1 or any(item.tokens < 1 for item in work):
            raise ValueError("A weight and a work's tokens must be at least 1.")
        if not work:
            return
        tokens = sum(item.tokens for item in work)
        waiting = self.queued_tokens_of(tenant)
        if waiting and waiting + tokens > self._tenant_limit:
            self._queues[tenant].overflowed = True
            raise TenantQueueFull(_TENANT_FULL, waiting)
        if self.queued_tokens and self.queued_tokens + tokens > self._total_limit:
            raise PoolQueueFull("The pool's queues are full.", self.queued_tokens)
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = _TenantQueue(tenant, weight)
            self._round.append(queue)
        queue.weight = weight
        queue.work.extend(work)
        queue.tokens += tokens
        self.queued_tokens += tokens

    def check_open(self, tenant: str) -> None:
        """Raise TenantQueueFull if the tenant's queue was full and has not drained by _DRAINED since.

        It refuses a flood before anything is spent on it: `offer` has to be told the tokens, and they take time to count.
        """
        queue = self._queues.get(tenant)
        if queue is None or not queue.overflowed:
            return
        if queue.tokens > (1 - _DRAINED) * self._tenant_limit:
            raise TenantQueueFull(_TENANT_FULL, queue.tokens)
        queue.overflowed = False

    def take(self, budget: int, now: float) -> Batch[T]:
        """The next batch, of at most `budget` tokens and a visit of each tenant, or of one work that alone is larger.
        Empty if nothing waits."""
        waiting = any(queue.work and not queue.newcomer for queue in self._round)
        batch = self._take_newcomers(budget, now) if waiting else Batch([], [])
        room = 0 if batch.work else budget
        visited: set[str] = set()
        while self._round and room > 0:
            queue = self._round[0]
            if batch.work and queue.tenant in visited:
                break
            visited.add(queue.tenant)
            self._drop_expired(queue, now, batch)
            self._credit(queue)
            while queue.work and queue.work[0].tokens <= queue.deficit:
                if queue.work[0].tokens > room and batch.work:
                    return batch
                item = self._pop(queue)
                queue.deficit -= item.tokens
                room -= item.tokens
                batch.work.append(item)
                self._drop_expired(queue, now, batch)
                if room <= 0:
                    break
            self._end_visit(queue, cut_short=room <= 0)
        return batch

    def _take_newcomers(self, budget: int, now: float) -> Batch[T]:
        """A batch of those alone who were idle, so that they need not wait for a batch that others fill.

        What they get is their next visit's quantum, given early, so it costs the others nothing but the order. Whoever
        has run stays in the round until its turn, and is no newcomer before: nobody overtakes twice in a round (as in
        FQ-CoDel, RFC 8290).
        """
        batch: Batch[T] = Batch([], [])
        room = budget
        for queue in [queue for queue in self._round if queue.newcomer]:
            self._drop_expired(queue, now, batch)
            self._credit(queue)
            while queue.work and queue.work[0].tokens <= queue.deficit:
                if queue.work[0].tokens > room and batch.work:
                    return batch
                item = self._pop(queue)
                queue.deficit -= item.tokens
                room -= item.tokens
                batch.work.append(item)
                self._drop_expired(queue, now, batch)
            if not queue.work:
                queue.deficit = 0
        return batch

    def take_one(self, now: float, admits: Callable[[str, Work[T]], bool]) -> Batch[T]:
        """The next single work; a tenant whose next work `admits` refuses now is passed over, and keeps its credit.

        Empty if nothing waits that is admitted.
        """
        batch: Batch[T] = Batch([], [])
        passed = 0
        while self._round and passed < len(self._round):
            queue = self._round[0]
            self._drop_expired(queue, now, batch)
            if queue.work and not admits(queue.tenant, queue.work[0]):
                self._round.rotate(-1)
                passed += 1
                continue
            passed = 0
            self._credit(queue)
            if queue.work and queue.work[0].tokens <= queue.deficit:
                item = self._pop(queue)
                queue.deficit -= item.tokens
                batch.work.append(item)
            self._end_visit(queue, cut_short=bool(batch.work))
            if batch.work:
                break
        return batch

    def remove(self, tenant: str, unwanted: Callable[[T], bool]) -> None:
        """Take the tenant's waiting work whose payload is `unwanted` out of the queue."""
        queue = self._queues.get(tenant)
        if queue is None:
            return
        kept = deque(item for item in queue.work if not unwanted(item.payload))
        removed = queue.tokens - sum(item.tokens for item in kept)
        queue.work = kept
        queue.tokens -= removed
        self.queued_tokens -= removed
        if not kept:
            self._round.remove(queue)
            del self._queues[tenant]

    def queued_tokens_of(self, tenant: str) -> int:
        queue = self._queues.get(tenant)
        return queue.tokens if queue else 0

    def queued_tenants(self) -> dict[str, int]:
        """Tokens waiting, by tenant, of the tenants that have any."""
        return {tenant: queue.tokens for tenant, queue in self._queues.items() if queue.tokens}

    def _credit(self, queue: _TenantQueue[T]) -> None:
        """Give the queue its quantum, once a visit."""
        queue.newcomer = False
        if not queue.credited:
            queue.deficit += self._quantum * queue.weight
            queue.credited = True

    def _drop_expired(self, queue: _TenantQueue[T], now: float, batch: Batch[T]) -> None:
        while queue.work and queue.work[0].deadline <= now:
            batch.expired.append(self._pop(queue))

    def _pop(self, queue: _TenantQueue[T]) -> Work[T]:
        item = queue.work.popleft()
        queue.tokens -= item.tokens
        self.queued_tokens -= item.tokens
        return item

    def _end_visit(self, queue: _TenantQueue[T], *, cut_short: bool) -> None:
        if not queue.work:
            # An idle tenant keeps no credit: it would let a later burst overtake those who waited.
            self._round.popleft()
            del self._queues[queue.tenant]
        elif not (cut_short and queue.work[0].tokens <= queue.deficit):
            queue.credited = False
            self._round.rotate(-1)
