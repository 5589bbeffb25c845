"""The second factor of somebody who signs in: the same for a tenant's users and the operator's staff."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column


class HasSecondFactor:
    """`totp_secret` is sealed (portal/second_factor.py), and None while no app makes codes; `totp_since` is when it
    was set up. Passkeys are rows of their own.

    `totp_step` is the time step of the last code that was accepted: that code, and any before it, is used up.
    `recovery_digests` are of the recovery codes that are left, under `recovery_secret`, which is sealed as well.
    """

    totp_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_step: Mapped[int | None]
    totp_since: Mapped[datetime | None]
    recovery_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    recovery_digests: Mapped[list[str] | None]
