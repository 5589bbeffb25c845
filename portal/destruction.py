"""Destroying a tenant whose days of grace are over: its key, its blobs, its rows, its entries in queues.

First the data key goes: from then on no blob and no copy of one opens any more, whatever becomes of the rest. Every
step can be done again, so that a destruction that is cut off goes on at the clock's next turn.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core import audit
from core.clock import now
from core.config import get_settings
from core.crypto import derive_key
from core.models.tenants import Tenant, TenantDeletion, TenantStatus
from core.queues import drop_entries
from core.storage import blob_store
from core.tenancy import Actor, ActorKind

log = structlog.get_logger(__name__)

_PURPOSE = "adaptary deletion certificate v1"
_CLOCK = Actor(ActorKind.SYSTEM, None, "clock")

KEPT: Mapping[str, str] = {
    "credit_entries": "Books: what was drawn of credits for invoices.",
    "credit_grants": "Books: credits that were given or paid for.",
    "credit_notes": "Books: they belong to invoices.",
    "invoice_lines": "Books: they belong to invoices.",
    "invoices": "Books: the law asks for invoices for years.",
    "payments": "Books: they belong to invoices.",
    "stripe_customers": "Books: which customer Stripe's invoices are of; the card is removed.",
    "stripe_invoices": "Books: what Stripe asked for; the link to its page is removed.",
    "subscriptions": "Books: which plan's prices an invoice was made by.",
    "tenant_deletions": "The proof of this destruction.",
    "usage_facts": "Books: quantities and times behind invoice lines; what they were of is removed.",
    "usage_reports": "Books: the quantities that Stripe was told.",
}
"""The tables of a tenant's of which rows stay, and why; its people's addresses are removed from them. The function
destroy_tenant_rows of the database decides; all others are emptied."""

_BEYOND = (
    "The tenant's name stays, as the one whom the invoices are made out to.",
    "Backups of the database hold its rows, and its wrapped key, until they expire.",
    "The pool may hold an adapter in memory until it needs the room; no ticket for it is signed any more.",
)


def list_due(session: Session) -> Sequence[UUID]:
    """The ids of tenants that are to be destroyed now. `session` is an operator session."""
    return session.scalars(
        select(TenantDeletion.tenant_id)
        .where(
            TenantDeletion.withdrawn_at.is_(None),
            TenantDeletion.destroyed_at.is_(None),
            TenantDeletion.due_at <= now(),
        )
        .order_by(TenantDeletion.due_at)
    ).all()


def destroy(session: Session, tenant_id: UUID) -> None:
    """Destroy a tenant that is due, and certify it. Does nothing for one that is not, or is destroyed already.

    `session` is an operator session. Commits once the key is destroyed, and again once everything is.
    """
    deletion = _lock_due(session, tenant_id)
    if deletion is None:
        return
    if deletion.inventory is None:
        _destroy_key(session, deletion)
    session.commit()
    blob_store().delete_all(tenant_id)
    deletion = _lock_due(session, tenant_id)
    if deletion is None:  # another clock was faster
        return
    tables = session.execute(
        text("SELECT name, kept, row_count FROM destroy_tenant_rows(:doomed) ORDER BY name"),
        {"doomed": tenant_id},
    ).all()
    entries = drop_entries(str(tenant_id))
    # What a worker wrote meanwhile, with a key that it still had in memory.
    blob_store().delete_all(tenant_id)
    tenant = session.get_one(Tenant, tenant_id)
    deletion.destroyed_at = now()
    deletion.certificate = _certificate(
        tenant,
        deletion,
        [
            {"table": name, "rows": rows, "fate": "kept" if kept else "destroyed", "why": KEPT.get(name)}
            for name, kept, rows in tables
        ],
        entries,
    )
    deletion.signature = sign(get_settings().master_key, deletion.certificate)
    detail = {"certificate": str(deletion.id)}
    audit.record_staff(session, _CLOCK, "tenant.destroyed", Tenant.__tablename__, tenant_id, detail)
    session.commit()
    log.info("tenant_destroyed", tenant_id=str(tenant_id), certificate=str(deletion.id))


def sign(key: bytes, certificate: Mapping[str, Any]) -> str:
    """HMAC-SHA256, hex, of a certificate's canonical JSON (keys sorted, no spaces), under a key made from `key`."""
    written = json.dumps(certificate, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(derive_key(key, _PURPOSE), written.encode(), hashlib.sha256).hexdigest()


def is_genuine(key: bytes, certificate: Mapping[str, Any], signature: str) -> bool:
    """Whether the operator whose master key is `key` signed this very certificate."""
    return hmac.compare_digest(sign(key, certificate), signature)


def _lock_due(session: Session, tenant_id: UUID) -> TenantDeletion | None:
    # The tenant's row first, as who takes the deletion back does.
    session.get_one(Tenant, tenant_id, with_for_update=True, populate_existing=True)
    return session.scalar(
        select(TenantDeletion)
        .where(
            TenantDeletion.tenant_id == tenant_id,
            TenantDeletion.withdrawn_at.is_(None),
            TenantDeletion.destroyed_at.is_(None),
            TenantDeletion.due_at <= now(),
        )
        .execution_options(populate_existing=True)
    )


def _destroy_key(session: Session, deletion: TenantDeletion) -> None:
    tenant = session.get_one(Tenant, deletion.tenant_id)
    sizes = blob_store().sizes(tenant.id)
    names = "".join(f"{name}\0{size}\n" for name, size in sizes.items())
    deletion.inventory = {
        "key_digest": hashlib.sha256(tenant.wrapped_data_key).hexdigest(),
        "key_destroyed_at": now().isoformat(),
        "blobs": len(sizes),
        "blob_bytes": sum(sizes.values()),
        "blob_list_digest": hashlib.sha256(names.encode()).hexdigest(),
    }
    tenant.wrapped_data_key = b""
    tenant.status = TenantStatus.DELETED


def _certificate(
    tenant: Tenant, deletion: TenantDeletion, tables: list[dict[str, Any]], queue_entries: int
) -> dict[str, Any]:
    """What staff hand out: no digest of rows, which would let anybody test guesses of what they held."""
    assert deletion.destroyed_at is not None
    return {
        "certificate": str(deletion.id),
        "operator": get_settings().seller_name,
        "tenant": {"id": str(tenant.id), "name": tenant.name},
        "requested_by": {
            "kind": deletion.requested_by_kind,
            "id": str(deletion.requested_by_id) if deletion.requested_by_id else None,
        },
        "requested_at": deletion.requested_at.isoformat(),
        "due_at": deletion.due_at.isoformat(),
        "destroyed_at": deletion.destroyed_at.isoformat(),
        "destroyed_by": _CLOCK.label,
        "destroyed": {**(deletion.inventory or {}), "queue_entries": queue_entries},
        "tables": tables,
        "beyond": list(_BEYOND),
    }
