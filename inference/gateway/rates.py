"""Rates: how much was used in the last minute, counted in Redis so that every process counts together.

Uses are summed by the second. A window is 60 seconds and the running one, so no 60 seconds that anybody can measure
hold more than the limit. Checking and adding are one step of Redis's own (a script), so no two processes can both take
the last of it.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock
from typing import NamedTuple

import structlog
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.config import get_settings

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 60
_TIMEOUT_SECONDS = 0.5
_WITHOUT_REDIS_SECONDS = 5.0

# Of each rate: what was used before, the newest second of use, and the second whose end makes room for the amount
# (0: none, or none ever).
_TAKE = """
local now, amount, window = tonumber(redis.call('TIME')[1]), tonumber(ARGV[1]), tonumber(ARGV[2])
local fits, answer = 1, {}
for i, key in ipairs(KEYS) do
  local uses, seconds, used, room_after = {}, {}, 0, 0
  local flat, limit = redis.call('HGETALL', key), tonumber(ARGV[2 + i])
  for j = 1, #flat, 2 do
    local second = tonumber(flat[j])
    if second < now - window then
      redis.call('HDEL', key, flat[j])
    else
      seconds[#seconds + 1] = second
      uses[second] = tonumber(flat[j + 1])
      used = used + uses[second]
    end
  end
  table.sort(seconds)
  if used + amount > limit then
    fits = 0
    local left = used
    for _, second in ipairs(seconds) do
      left = left - uses[second]
      if left + amount <= limit then room_after = second break end
    end
  end
  answer[i] = {used, seconds[#seconds] or 0, room_after}
end
if fits == 1 then
  for _, key in ipairs(KEYS) do
    redis.call('HINCRBY', key, now, amount)
    redis.call('EXPIRE', key, window * 2)
  end
end
return {now, fits, answer}
"""

# What has expired meanwhile stays gone.
_ADD = """
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then redis.call('HINCRBY', key, ARGV[1], ARGV[2]) end
end
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` a minute of whatever is counted under `name`."""

    name: str
    limit: int


class Before(NamedTuple):
    """One rate before something is taken: what the window holds, its newest second of use (0: none), and the second
    whose end makes room for the amount (0: there is room, or there never will be)."""

    used: int
    newest: int
    room_after: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What was asked for and, if it `fits`, taken in the second `at`; and each of the rates `before`.

    `in_memory` says that this process counted for itself.
    """

    rates: Sequence[Rate]
    amount: int
    fits: bool
    at: int
    before: Sequence[Before]
    in_memory: bool = False

    @property
    def tightest(self) -> int:
        """Which of the rates has the least left."""
        return min(
            range(len(self.rates)), key=lambda index: self.rates[index].limit - self.before[index].used
        )

    @property
    def limit(self) -> int:
        return self.rates[self.tightest].limit

    @property
    def remaining(self) -> int:
        """How much more of the tightest rate is left, after this."""
        used = self.before[self.tightest].used + (self.amount if self.fits else 0)
        return max(0, self.limit - used)

    @property
    def reset_seconds(self) -> int:
        """How long until all of the tightest rate is free again, if nothing more is taken."""
        newest = self.at if self.fits and self.amount else self.before[self.tightest].newest
        return self._leaves_in(newest) if newest else 0

    @property
    def wait_seconds(self) -> int:
        """How long until it would fit; a whole window where it never will."""
        return max(
            (self._wait(index) for index in range(len(self.rates)) if not self._fits(index)), default=0
        )

    @property
    def refused_by(self) -> Rate:
        """The rate that stands in the way longest."""
        refusing = [index for index in range(len(self.rates)) if not self._fits(index)]
        return self.rates[max(refusing, key=self._wait)]

    def _fits(self, index: int) -> bool:
        return self.before[index].used + self.amount <= self.rates[index].limit

    def _wait(self, index: int) -> int:
        room_after = self.before[index].room_after
        return self._leaves_in(room_after) if room_after else WINDOW_SECONDS

    def _leaves_in(self, second: int) -> int:
        return second + WINDOW_SECONDS + 1 - self.at


class Rates:
    """Takes from rates, and gives back. Where Redis does not answer, this process counts for itself: better a loose
    limit than no answers."""

    def __init__(self, redis: Redis) -> None:
        self._take_from = redis.register_script(_TAKE)
        self._add_to = redis.register_script(_ADD)
        self._memory = _Memory()
        self._without_until = 0.0

    def take(self, rates: Sequence[Rate], amount: int) -> Taken:
        """Take `amount` from all of `rates`, or from none where it does not fit into one."""
        if time.monotonic() >= self._without_until:
            try:
                return self._take(rates, amount)
            except RedisError as error:
                self._without_until = time.monotonic() + _WITHOUT_REDIS_SECONDS
                log.warning("rates_without_redis", error=type(error).__name__)
        return self._memory.take(rates, amount)

    def settle(self, taken: Taken, amount: int) -> None:
        """Make what was taken `amount`, in the second in which it was."""
        more = amount - taken.amount
        if not taken.fits or not more:
            return
        if taken.in_memory:
            self._memory.add(taken.rates, taken.at, more)
            return
        try:
            self._add_to(keys=[_key(rate) for rate in taken.rates], args=[taken.at, more])
        except RedisError as error:
            self._without_until = time.monotonic() + _WITHOUT_REDIS_SECONDS
            log.warning("rates_without_redis", error=type(error).__name__)

    def _take(self, rates: Sequence[Rate], amount: int) -> Taken:
        at, fits, before = self._take_from(
            keys=[_key(rate) for rate in rates],
            args=[amount, WINDOW_SECONDS, *(rate.limit for rate in rates)],
        )
        return Taken(rates, amount, bool(fits), at, [Before(*one) for one in before])


class _Memory:
    """The same in one process. What it holds is bounded: at its end a window's uses are forgotten."""

    def __init__(self) -> None:
        self._uses: dict[str, dict[int, int]] = defaultdict(dict)
        self._swept_at = 0
        self._lock = Lock()

    def take(self, rates: Sequence[Rate], amount: int) -> Taken:
        at = int(time.time())
        with self._lock:
            self._sweep(at)
            before = [_before(_in_window(self._uses[rate.name], at), rate.limit - amount) for rate in rates]
            taken = Taken(rates, amount, True, at, before, in_memory=True)
            if taken.wait_seconds:
                return replace(taken, fits=False)
            self._add(rates, at, amount)
            return taken

    def add(self, rates: Sequence[Rate], at: int, amount: int) -> None:
        with self._lock:
            self._add(rates, at, amount)

    def _add(self, rates: Sequence[Rate], at: int, amount: int) -> None:
        for rate in rates:
            self._uses[rate.name][at] = self._uses[rate.name].get(at, 0) + amount

    def _sweep(self, at: int) -> None:
        if at - self._swept_at >= WINDOW_SECONDS:
            self._swept_at = at
            kept = {name: _in_window(uses, at) for name, uses in self._uses.items()}
            self._uses = defaultdict(dict, {name: uses for name, uses in kept.items() if uses})


def _in_window(uses: Mapping[int, int], at: int) -> dict[int, int]:
    return {second: amount for second, amount in uses.items() if second >= at - WINDOW_SECONDS}


def _before(uses: Mapping[int, int], room: int) -> Before:
    """What `_TAKE` says of a rate: `room` is how much may be in use for the amount to fit."""
    used = left = sum(uses.values())
    room_after = 0
    for second, amount in sorted(uses.items()) if used > room else ():
        left -= amount
        if left <= room:
            room_after = second
            break
    return Before(used, max(uses, default=0), room_after)


def _key(rate: Rate) -> str:
    return f"rates:{rate.name}"


@cache
def process_rates() -> Rates:
    """This process's, made at the first call: connections do not survive a fork."""
    url = get_settings().redis_url
    return Rates(
        Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),  # once, for a kept connection to a Redis that has since restarted
            health_check_interval=30,
        )
    )
