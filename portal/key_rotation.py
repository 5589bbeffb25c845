"""Another master key: every tenant's data key is wrapped anew, and no blob is touched."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import audit
from core.config import get_settings
from core.crypto import KeyRejected, unwrap, wrap
from core.models.staff import StaffMember
from core.models.tenants import Tenant, TenantDeletion
from core.storage import open_tenant_key
from core.tenancy import Actor, ActorKind
from portal import second_factor
from portal.destruction import is_genuine, sign

_COMMAND_LINE = Actor(ActorKind.SYSTEM, None, "command line")


@dataclass(frozen=True)
class Rotation:
    """How many data keys were wrapped anew, how many were under MASTER_KEY already, and how many certificates of
    deletion were signed anew."""

    rotated: int
    kept: int
    signed: int


def rotate(session: Session) -> Rotation:
    """Put the data keys that MASTER_KEY_OLD opens under MASTER_KEY, and the second factors of staff. `session` is an operator session; the caller commits.

    Raises KeyRejected where a tenant's data key opens under neither.
    """
    master_key = get_settings().master_key
    rotated = kept = 0
    # In one order, so that two that run at once wait for each other and do not lock each other out.
    for tenant in session.scalars(
        select(Tenant).where(Tenant.wrapped_data_key != b"").order_by(Tenant.id).with_for_update()
    ):
        if _opens(master_key, tenant):
            kept += 1
        else:
            key = open_tenant_key(tenant.id, tenant.wrapped_data_key)
            tenant.wrapped_data_key = wrap(master_key, key)
            rotated += 1
    for member in session.scalars(select(StaffMember).order_by(StaffMember.id).with_for_update()):
        second_factor.reseal(member)
    report = Rotation(rotated, kept, _sign_again(session))
    if report.rotated or report.signed:
        detail = {"rotated": report.rotated, "kept": report.kept, "signed": report.signed}
        audit.record_staff(session, _COMMAND_LINE, "keys.rotated", Tenant.__tablename__, "all", detail)
    return report


def _opens(master_key: bytes, tenant: Tenant) -> bool:
    try:
        unwrap(master_key, tenant.id, tenant.wrapped_data_key)
    except KeyRejected:
        return False
    return True


def _sign_again(session: Session) -> int:
    """Sign the certificates that MASTER_KEY_OLD signed; one that neither key signed is left as it is."""
    settings = get_settings()
    if not settings.master_key_old:
        return 0
    signed = 0
    for deletion in session.scalars(select(TenantDeletion).where(TenantDeletion.certificate.is_not(None))):
        certificate, signature = deletion.certificate, deletion.signature
        assert certificate is not None
        assert signature is not None
        if is_genuine(settings.master_key_old, certificate, signature):
            deletion.signature = sign(settings.master_key, certificate)
            signed += 1
    return signed
