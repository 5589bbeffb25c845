"""The operator's staff: the people who run Adaptary. They belong to no tenant."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, HasId, StrEnumColumn
from core.models.second_factor import HasSecondFactor
from core.tenancy import StaffRole


class StaffMember(HasSecondFactor, HasId, Base):
    """One of the operator's staff. The app's database role cannot read this table."""

    __tablename__ = "staff"

    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[StaffRole] = mapped_column(StrEnumColumn(StaffRole))
    last_login_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]
