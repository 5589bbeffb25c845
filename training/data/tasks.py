"""What the workers of the datasets queue do: check an upload, import it. Both bear being killed and run twice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO
from uuid import UUID, uuid4

import structlog
from sqlalchemy.exc import OperationalError

from core.audit import record
from core.catalogue import default_base_model
from core.clock import now
from core.db import tenant_session
from core.models.datasets import DatasetStatus
from core.privacy.policies import current_policy
from core.storage import BlobNotFound, TenantKey, blob_store, tenant_key
from core.tenancy import system_scope
from training.data.checking import check
from training.data.claims import Claim, ClaimLost
from training.data.correcting import Corrector
from training.data.corrections import corrections_of, forget_corrections
from training.data.datasets import delete_after_commit
from training.data.errors import DataError
from training.data.importing import Importer
from training.data.personal import Protector
from training.data.readers import open_table
from training.data.sources import mapping_of, reading_of
from training.data.tokens import TokenCounter

log = structlog.get_logger(__name__)

_OUR_FAULT = (
    "Something went wrong on our side, not with your file. Try again; if it happens again, tell support."
)


def check_dataset(tenant_id: str, version_id: str) -> None:
    """Check the version's upload and write the report on it; RQ's entry point."""
    claim = _take(tenant_id, version_id, DatasetStatus.CHECKING)
    if claim is None:
        return
    with _reporting(claim), tenant_session(claim.scope) as session:
        key = tenant_key(session, claim.scope.tenant_id)
        policy = current_policy(session, claim.scope.tenant_id)
        corrector = Corrector(corrections_of(session, claim.version))
        reading, mapping = reading_of(session, claim.version), mapping_of(session, claim.version)
        session.rollback()  # the work takes minutes: no transaction is held open over it
        with _upload(claim, key) as (stream, position):
            report = check(
                open_table(stream, reading),
                mapping,
                reading,
                tokens=TokenCounter(default_base_model(mapping.task)),
                key=key,
                policy=policy,
                corrector=corrector,
                position=position,
                beat=claim.beat,
            )
        report["personal_data"]["corrections_revision"] = claim.version.corrections_revision
        claim.write(session, status=DatasetStatus.REVIEW, report=report, progress=1.0)
        session.commit()


def import_dataset(tenant_id: str, version_id: str) -> None:
    """Store the version's rows and delete its upload; RQ's entry point."""
    claim = _take(tenant_id, version_id, DatasetStatus.IMPORTING)
    if claim is None:
        return
    with _reporting(claim), tenant_session(claim.scope) as session:
        key = tenant_key(session, claim.scope.tenant_id)
        policy = current_policy(session, claim.scope.tenant_id)
        corrector = Corrector(corrections_of(session, claim.version))
        reading, mapping = reading_of(session, claim.version), mapping_of(session, claim.version)
        # Every attempt writes to blobs of its own and notes them before, so that the next one can clear them away.
        final = f"datasets/{claim.version.id}/{uuid4().hex}/rows.jsonl"
        draft = final + ".draft"
        _clear_earlier_attempt(claim, key)
        claim.write(session, blob=final)
        session.commit()
        try:
            with _upload(claim, key) as (stream, position):
                protector = Protector(key, policy, corrector)
                importer = Importer(blob_store(), key, protector, claim.beat)
                table = open_table(stream, reading)
                imported = importer.run(table, mapping, position, draft=draft, final=final)
            report = {
                **(claim.version.report or {}),
                "personal_data": imported.personal_data,
                "left_out": {
                    "empty": imported.empty,
                    "duplicates": imported.duplicates,
                    "leaks": imported.leaks,
                },
            }
            claim.write(
                session,
                status=DatasetStatus.READY,
                digest=imported.blob.digest,
                rows=imported.rows,
                labels=imported.labels,
                split_counts=imported.split_counts,
                policy_version=policy.version,
                report=report,
                progress=1.0,
                ready_at=now(),
                upload_blob=None,
            )
            record(session, claim.scope, "dataset.ready", claim.version, {"rows": imported.rows})
            forget_corrections(session, claim.version)
            if claim.version.upload_blob is not None:
                delete_after_commit(session, claim.scope.tenant_id, claim.version.upload_blob)
            session.commit()
        except (ClaimLost, DataError):
            blob_store().delete(key, final)
            raise


def _take(tenant_id: str, version_id: str, status: DatasetStatus) -> Claim | None:
    return Claim.take(system_scope(UUID(tenant_id), "worker"), UUID(version_id), status)


def _clear_earlier_attempt(claim: Claim, key: TenantKey) -> None:
    earlier = claim.version.blob
    if earlier is not None:
        for name in (earlier, earlier + ".draft"):
            blob_store().delete(key, name)


@contextmanager
def _upload(claim: Claim, key: TenantKey) -> Iterator[tuple[BinaryIO, Callable[[], float]]]:
    """The version's raw upload, and what tells how far it has been read."""
    if claim.version.upload_blob is None:
        raise ClaimLost(str(claim.version.id))
    size = max(1, claim.version.size_bytes)
    with blob_store().open(key, claim.version.upload_blob) as stream:
        yield stream, lambda: stream.tell() / size


@contextmanager
def _reporting(claim: Claim) -> Iterator[None]:
    """Turn what goes wrong inside into the version's status: a bad file by its own words, a bug by ours."""
    context = log.bind(tenant_id=str(claim.scope.tenant_id), version_id=str(claim.version.id))
    try:
        yield
    except ClaimLost:
        context.info("dataset_claim_lost")
    except DataError as error:
        _fail(claim, str(error))
    except OperationalError:
        raise  # without a database nothing can be noted; the clock rings again for a claim that has gone stale
    except Exception as error:
        if isinstance(error, BlobNotFound) and _is_lost(claim):
            context.info("dataset_claim_lost")
            return
        context.exception("dataset_job_failed")
        _fail(claim, _OUR_FAULT)


def _fail(claim: Claim, message: str) -> None:
    with suppress(ClaimLost), tenant_session(claim.scope) as session:
        claim.write(session, status=DatasetStatus.FAILED, error=message)
        session.commit()


def _is_lost(claim: Claim) -> bool:
    """Whether the version has been discarded meanwhile, and its upload with it."""
    with tenant_session(claim.scope) as session:
        try:
            claim.write(session)
        except ClaimLost:
            return True
    return False
