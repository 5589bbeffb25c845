"""What a person corrected of the findings in an upload: this value is no personal data, that one is.

Corrections are personal data themselves: sealed under the tenant's key, and deleted together with the upload.
"""

import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.audit import record
from core.crypto import TenantKey, derive_key
from core.models.datasets import DatasetStatus, DatasetVersion, FindingCorrection
from core.privacy.entities import CUSTOM, ENTITY_NAMES
from core.privacy.normalise import normalise
from core.privacy.policies import current_policy
from core.sealed import Sealer
from core.storage import tenant_key
from core.tenancy import ActorKind, Permission, TenantScope

MIN_VALUE_CHARACTERS = 2
MAX_VALUE_CHARACTERS = 500
MAX_CORRECTIONS = 1000


class CorrectionError(Exception):
    """A correction that cannot be; the message says why, `field` beside which field."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Correction:
    """`value` is personal data of the kind `entity` wherever it stands or, with None, is none wherever it is found."""

    id: UUID
    value: str
    entity: str | None


def corrections_of(session: Session, version: DatasetVersion) -> list[Correction]:
    """The version's corrections, opened, the latest first."""
    sealer = _sealer(tenant_key(session, version.tenant_id))
    rows = session.scalars(
        select(FindingCorrection)
        .where(FindingCorrection.version_id == version.id)
        .order_by(FindingCorrection.created_at.desc(), FindingCorrection.id)
    )
    return [Correction(row.id, sealer.open(row.id, row.sealed_value), row.entity) for row in rows]


def correct(
    session: Session, scope: TenantScope, version: DatasetVersion, value: str, entity: str | None
) -> None:
    """Note that `value` is personal data of the kind `entity`, or (None) that it is none, in place of what was noted
    of it before. Audited without the value.

    To say that something is none takes protection away, which only who may change the policy can do.
    Raises PermissionDenied, and CorrectionError where the version is not in review or the value cannot be one.
    """
    scope.require(Permission.DATASETS_WRITE)
    if entity is None:
        scope.require(Permission.PRIVACY_WRITE)
    elif entity not in ENTITY_NAMES:
        raise CorrectionError("Choose one of the kinds of personal data.", "entity")
    value = _checked(value)
    _hold(session, version)
    if _count(session, version) >= MAX_CORRECTIONS:
        raise CorrectionError(
            f"There are {MAX_CORRECTIONS:,} corrections already. Change the privacy policy, or mend the file."
        )
    key = tenant_key(session, version.tenant_id)
    id_ = uuid4()
    by = scope.actor.id if scope.actor.kind is ActorKind.USER else None
    session.execute(
        insert(FindingCorrection)
        .values(
            id=id_,
            tenant_id=version.tenant_id,
            version_id=version.id,
            digest=_digest(key, value),
            sealed_value=_sealer(key).seal(id_, value),
            entity=entity,
            created_by_id=by,
        )
        .on_conflict_do_update(
            index_elements=["tenant_id", "version_id", "digest"],
            set_={"entity": entity, "created_by_id": by, "created_at": func.now()},
        )
    )
    _note(session, scope, version, "dataset.finding_corrected", entity)


def withdraw(session: Session, scope: TenantScope, correction: FindingCorrection) -> None:
    """Take a correction back, audited: its value is what the policy says again.

    Raises PermissionDenied, and CorrectionError where its version is not in review.
    """
    scope.require(Permission.DATASETS_WRITE)
    version = session.get_one(DatasetVersion, correction.version_id)
    _hold(session, version)
    session.delete(correction)
    _note(session, scope, version, "dataset.correction_withdrawn", correction.entity)


def is_outdated(session: Session, version: DatasetVersion) -> bool:
    """Whether the policy or the findings of a version in review were changed since its check."""
    if version.report is None:
        return False
    personal = version.report["personal_data"]
    return bool(
        version.corrections_revision != personal.get("corrections_revision", 0)
        or current_policy(session, version.tenant_id).version != personal["policy_version"]
    )


def forget_corrections(session: Session, version: DatasetVersion) -> None:
    """Delete the version's corrections, as its upload is."""
    session.execute(delete(FindingCorrection).where(FindingCorrection.version_id == version.id))


def _checked(value: str) -> str:
    value = " ".join(value.split())
    if not MIN_VALUE_CHARACTERS <= len(value) <= MAX_VALUE_CHARACTERS:
        raise CorrectionError(
            f"Give a value of {MIN_VALUE_CHARACTERS} to {MAX_VALUE_CHARACTERS} characters.", "value"
        )
    if not value.isprintable() or not any(map(str.isalnum, value)):
        raise CorrectionError("Give the value as it stands in the text: letters or digits.", "value")
    return value


def _hold(session: Session, version: DatasetVersion) -> None:
    """Keep the version in review until this transaction ends."""
    session.refresh(version, with_for_update=True)
    if version.status is not DatasetStatus.REVIEW:
        raise CorrectionError(f"This version is {version.status.value} by now. Nothing was changed.")


def _count(session: Session, version: DatasetVersion) -> int:
    query = (
        select(func.count()).select_from(FindingCorrection).where(FindingCorrection.version_id == version.id)
    )
    return session.scalar(query) or 0


def _note(
    session: Session, scope: TenantScope, version: DatasetVersion, action: str, entity: str | None
) -> None:
    version.corrections_revision += 1
    session.flush()
    detail = {"is_personal": entity is not None, "kind": entity, "corrections": _count(session, version)}
    record(session, scope, action, version, detail)


def _digest(key: TenantKey, value: str) -> bytes:
    """One for all spellings of a value, which only the tenant's key makes."""
    spelling = normalise(CUSTOM, value).encode()
    return hmac.digest(derive_key(key.data_key, "finding corrections' digests"), spelling, hashlib.sha256)


def _sealer(key: TenantKey) -> Sealer:
    return Sealer(key, "finding_corrections.sealed_value")
