"""The usage behind an invoice's line: its days, and its facts one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from billing.csv_export import iter_csv
from billing.fillings import charged_facts
from billing.names import Names
from billing.periods import first_moment_of, last_moment_of
from billing.terms import USAGE_KINDS
from core.models.billing import InvoiceLine
from core.models.usage import UsageFact

_utc_day = func.date(func.timezone("UTC", UsageFact.occurred_at))
_FETCHED_AT_ONCE = 1000


class NoUsageBehind(LookupError):
    """The line is a fee or a minimum: no usage is behind it."""


@dataclass(frozen=True)
class DayUsage:
    """What a line charges of one UTC day: of how many facts, and how many tokens."""

    day: date
    facts: int
    tokens: int


@dataclass(frozen=True)
class FactUsage:
    """A fact, and how many of its tokens a line charges; of a reversal, the request that it takes back."""

    fact: UsageFact
    tokens: int
    model: str
    key: str
    taken_back: str | None


class LineUsage:
    """The usage behind one line. Raises NoUsageBehind for a line that charges by the month."""

    def __init__(self, session: Session, line: InvoiceLine) -> None:
        if line.kind not in USAGE_KINDS:
            raise NoUsageBehind(f"Line {line.position} charges by the month: no usage is behind it.")
        self._session = session
        self._line = line
        self._charged = charged_facts(session, line)

    def days(self, only: date | None = None) -> list[DayUsage]:
        """The days of which the line charges something, in order; `only` asks for one of them."""
        query = (
            select(_utc_day, func.count(), func.sum(self._charged.c.tokens))
            .join_from(UsageFact, self._charged, self._charged.c.id == UsageFact.id)
            .where(UsageFact.tenant_id == self._line.tenant_id)
            .group_by(_utc_day)
            .order_by(_utc_day)
        )
        if only is not None:
            query = query.where(*_is_of(only))
        return [DayUsage(day, facts, int(tokens)) for day, facts, tokens in self._session.execute(query)]

    def facts_of(self, day: date, *, offset: int, limit: int) -> list[FactUsage]:
        """A day's facts, the newest first."""
        newest_first = (UsageFact.occurred_at.desc(), UsageFact.id)
        query = self._facts().where(*_is_of(day)).order_by(*newest_first)
        return list(self._read(query.offset(offset).limit(limit)))

    def csv(self) -> Iterator[str]:
        """All facts as CSV, in the order of time; `tokens_charged` add up to the line's quantity."""
        header = (
            "occurred_at",
            "request_id",
            "kind",
            "model",
            "key",
            "tokens",
            "tokens_charged",
            "takes_back",
            "reason",
        )
        query = self._facts().order_by(UsageFact.occurred_at, UsageFact.id)
        rows = (
            (
                found.fact.occurred_at.isoformat(),
                found.fact.request_id,
                found.fact.kind.value,
                found.model,
                found.key,
                found.fact.quantity,
                found.tokens,
                found.taken_back or "",
                found.fact.reason or "",
            )
            for found in self._read(query.execution_options(yield_per=_FETCHED_AT_ONCE))
        )
        return iter_csv(header, rows)

    def _facts(self) -> Select[UsageFact, int, str | None]:
        reversed_fact = aliased(UsageFact)
        return (
            select(UsageFact, self._charged.c.tokens, reversed_fact.request_id)
            .join_from(UsageFact, self._charged, self._charged.c.id == UsageFact.id)
            .outerjoin(
                reversed_fact,
                and_(
                    reversed_fact.tenant_id == UsageFact.tenant_id,
                    reversed_fact.id == UsageFact.reverses_id,
                ),
            )
            .where(UsageFact.tenant_id == self._line.tenant_id)
        )

    def _read(self, query: Select[UsageFact, int, str | None]) -> Iterator[FactUsage]:
        names = Names(self._session, self._line.tenant_id)
        for fact, tokens, taken_back in self._session.execute(query):
            key = names.key(fact.api_key_id or fact.source)
            yield FactUsage(fact, int(tokens), names.model(fact.model_id), key, taken_back)


def _is_of(day: date) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return UsageFact.occurred_at >= first_moment_of(day), UsageFact.occurred_at <= last_moment_of(day)
