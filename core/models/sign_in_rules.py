"""How a tenant's people sign in: what its admins demand of them."""

from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, TenantOwned

DEFAULT_SESSION_HOURS = 168


class SignInRules(TenantOwned, Base):
    """A tenant's rules; one that has no row has the defaults.

    A session ends `session_hours` after the sign-in, whatever happens in it. Where `requires_second_factor`, those
    who have none must set one up before they do anything else. With `networks` (CIDR), only requests from there
    are let into the portal.
    """

    __tablename__ = "sign_in_rules"

    session_hours: Mapped[int] = mapped_column(default=DEFAULT_SESSION_HOURS)
    requires_second_factor: Mapped[bool] = mapped_column(default=False)
    networks: Mapped[list[str] | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id"),
            CheckConstraint(
                f"session_hours BETWEEN 1 AND {DEFAULT_SESSION_HOURS}", name="session_hours_bounded"
            ),
        )
