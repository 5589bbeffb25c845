"""What people change about their own sign-in, in the audit log: their tenant's, or the operator's."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from core import audit
from portal.identity import SignedInStaff, SignedInUser


def record(
    session: Session,
    identity: SignedInUser | SignedInStaff,
    action: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note that the signed-in person did `action` ("password_changed") to themselves."""
    if isinstance(identity, SignedInUser):
        audit.record(session, identity.scope, f"member.{action}", identity.person, detail)
    else:
        audit.record_staff(session, identity.actor, f"staff.{action}", "staff", identity.person.id, detail)
