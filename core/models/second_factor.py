"""The second factor of somebody who signs in: the same for a tenant's users and the operator's staff."""

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column


class HasSecondFactor:
    """`totp_secret` is sealed (portal/second_factor.py), and None while there is no second factor.

    `totp_step` is the time step of the last code that was accepted: that code, and any before it, is used up.
    `recovery_digests` are of the recovery codes that are left.
    """

    totp_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_step: Mapped[int | None]
    recovery_digests: Mapped[list[str] | None]
