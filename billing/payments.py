"""How invoices are paid: the seam for payment providers, and bank transfer, which needs none.

The ledger makes the invoices whatever the provider; a provider only collects. Bank transfer is built in: the
invoice says where to pay, and finance marks it paid when the money has come.
"""

from dataclasses import dataclass
from typing import Protocol

from core.config import Settings, get_settings
from core.models.billing import Invoice


@dataclass(frozen=True)
class PaymentInstructions:
    """What an invoice tells its reader about paying: a title, and pairs of label and value."""

    title: str
    details: tuple[tuple[str, str], ...]


class PaymentProvider(Protocol):
    """Collects what invoices ask for."""

    def instructions(self, invoice: Invoice) -> PaymentInstructions:
        """How to pay an issued invoice."""


@dataclass(frozen=True)
class BankTransfer:
    """Payment by bank transfer with the invoice's number as the reference."""

    payee: str
    account: str

    def instructions(self, invoice: Invoice) -> PaymentInstructions:
        details = [("Payee", self.payee), ("Account", self.account), ("Reference", invoice.number or "")]
        return PaymentInstructions("Pay by bank transfer", tuple(pair for pair in details if pair[1]))


def payment_provider(settings: Settings | None = None) -> PaymentProvider:
    """The provider that this deployment collects through."""
    settings = settings or get_settings()
    return BankTransfer(settings.seller_name, settings.seller_bank_account)
