"""What every table shares: naming, types, and the fence around what a tenant owns."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


E = TypeVar("E", bound=StrEnum)

STR_ENUM_LENGTH = 32


class StrEnumColumn(TypeDecorator[E]):
    """A StrEnum kept as text: a new member then needs no change of the table."""

    impl = String
    cache_ok = True

    def __init__(self, enum: type[E]) -> None:
        super().__init__(STR_ENUM_LENGTH)
        self.enum = enum

    def process_bind_param(self, value: E | str | None, dialect: Any) -> str | None:
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: str | None, dialect: Any) -> E | None:
        return None if value is None else self.enum(value)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        UUID: PG_UUID(as_uuid=True),
        int: BigInteger,
        dict[str, Any]: JSONB(none_as_null=True),
        list[str]: JSONB(none_as_null=True),
        list[dict[str, Any]]: JSONB(none_as_null=True),
    }


class HasId:
    """A row with a random id, and the time at which it was made."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class TenantOwned(HasId):
    """A row that belongs to one tenant.

    `(tenant_id, id)` is unique so that other rows can point here by both, which keeps a reference from
    crossing into another tenant: foreign keys are not bound by row-level security.
    """

    @declared_attr
    def tenant_id(cls) -> Mapped[UUID]:
        return mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))

    @declared_attr.directive
    def __table_args__(cls) -> Any:
        return (UniqueConstraint("tenant_id", "id"), *cls.constraints())

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        """The table's own constraints and indexes, besides those of every tenant-owned table."""
        return ()


def tenant_foreign_key(column: str, table: str, ondelete: str | None = None) -> ForeignKeyConstraint:
    """A reference that stays inside the tenant: (tenant_id, `column`) → `table`(tenant_id, id)."""
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete=ondelete
    )
