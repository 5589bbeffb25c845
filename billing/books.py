"""The journal as books show it: each account's sums, and whether debit and credit come to the same."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from billing.journal import Posting


@dataclass(frozen=True)
class AccountSums:
    """One account's postings of a period in one currency, in cents."""

    account: str
    currency: str
    postings: int
    debit_cents: int
    credit_cents: int

    @property
    def balance_cents(self) -> int:
        """Positive where debits outweigh credits."""
        return self.debit_cents - self.credit_cents


def by_account(postings: Iterable[Posting]) -> list[AccountSums]:
    """The sums of each account and currency, in the alphabet's order."""
    groups: dict[tuple[str, str], list[Posting]] = defaultdict(list)
    for posting in postings:
        groups[posting.currency, posting.account].append(posting)
    return [_sums(account, group) for (_, account), group in sorted(groups.items())]


def in_all(postings: Iterable[Posting]) -> list[AccountSums]:
    """The sums over all accounts, by currency: of each, debit and credit must be the same."""
    groups: dict[str, list[Posting]] = defaultdict(list)
    for posting in postings:
        groups[posting.currency].append(posting)
    return [_sums("", group) for _, group in sorted(groups.items())]


def _sums(account: str, postings: Sequence[Posting]) -> AccountSums:
    return AccountSums(
        account,
        postings[0].currency,
        len(postings),
        sum(posting.debit_cents for posting in postings),
        sum(posting.credit_cents for posting in postings),
    )
