"""The names of a tenant's files, which its rows hold sealed."""

from typing import Any

from sqlalchemy import Row

from core.models.files import ApiFile
from core.sealed import Sealer
from core.storage import TenantKey


def seal_filename(key: TenantKey, file: ApiFile, filename: str) -> None:
    """Note how the file, whose id is set, is named."""
    file.sealed_filename = _sealer(key).seal(file.id, filename)


def filename_of(key: TenantKey, file: ApiFile | Row[Any]) -> str:
    """How the file is named. Raises KeyRejected."""
    name: str = _sealer(key).open(file.id, file.sealed_filename)
    return name


def _sealer(key: TenantKey) -> Sealer:
    return Sealer(key, "api_files.sealed_filename")
