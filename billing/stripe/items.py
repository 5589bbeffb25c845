"""The invoice items of a draft: made, changed and deleted until they are those that it wants."""

from collections.abc import Callable, Sequence
from typing import Any

from billing.stripe.client import StripeClient
from billing.stripe.counting import ITEM_LINE
from billing.stripe.expected import Item

_ACCEPTED = "adaptary_accepted"


def put_items(
    client: StripeClient, draft: dict[str, Any], wanted: Sequence[Item], key: Callable[[str], str]
) -> None:
    """Have a draft carry these items of ours, each once. What finance accepted stays as it is.

    `key` makes an idempotency key. Raises StripeUnavailable; asked again, it goes on.
    """
    there = {
        item["metadata"][ITEM_LINE]: item
        for item in client.each("/v1/invoiceitems", {"invoice": draft["id"]})
        if ITEM_LINE in item["metadata"] and _ACCEPTED not in item["metadata"]
    }
    for item in wanted:
        found = there.pop(item.line, None)
        if found is None:
            _add(client, draft, item, key(f"item-{item.line}-{item.amount_cents}"))
        elif found["amount"] != item.amount_cents:
            change = {"amount": item.amount_cents, "description": item.description}
            client.post(
                f"/v1/invoiceitems/{found['id']}", change, key=key(f"{item.line}-{item.amount_cents}")
            )
    for gone in there.values():
        client.delete(f"/v1/invoiceitems/{gone['id']}")


def accept_difference(
    client: StripeClient, draft: dict[str, Any], item: Item, reason: str, key: Callable[[str], str]
) -> None:
    """Add an item by which finance makes up a difference, for good."""
    _add(client, draft, item, key(f"accepted-{item.line}-{item.amount_cents}"), {_ACCEPTED: reason[:500]})


def _add(
    client: StripeClient, draft: dict[str, Any], item: Item, key: str, more: dict[str, str] | None = None
) -> None:
    params = {
        "customer": draft["customer"],
        "invoice": draft["id"],
        "amount": item.amount_cents,
        "currency": draft["currency"],
        "description": item.description,
        "metadata": {ITEM_LINE: item.line, **(more or {})},
    }
    client.post("/v1/invoiceitems", params, key=key)
