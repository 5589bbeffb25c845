"""One tenant with one of everything, for tests that must meet every kind of object."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from hashlib import sha256
from uuid import uuid4

from sqlalchemy import select

from billing.periods import Month
from core import api_keys
from core.catalogue import DEFAULT_BASE_MODEL, Task, get_base_model
from core.clock import now
from core.db import operator_session
from core.file_names import seal_filename
from core.models.batches import Batch, BatchStatus
from core.models.billing import Invoice, InvoiceLine, InvoiceStatus, PlanPrice, PriceKind
from core.models.budgets import Budget
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion, FindingCorrection
from core.models.exports import DataExport, ExportStatus
from core.models.files import ApiFile, FilePurpose
from core.models.fine_tune_jobs import FineTuneJob, JobStatus, Method
from core.models.fine_tune_requests import FineTuneRequest, RequestStatus
from core.models.models import Adapter, Model
from core.models.passkeys import UserPasskey
from core.models.payments import CreditNote
from core.models.sessions import UserSession
from core.models.stripe import ReportStatus, StripeEvent, StripeInvoice, UsageReport
from core.models.usage import UsageFact, UsageKind, UsageSource
from core.models.users import Invite, User
from core.passwords import hash_password
from core.storage import blob_store, tenant_key
from core.tenancy import Role, TenantScope
from inference.gateway.public_ids import Prefix, public_id
from training.data.columns import ColumnMapping
from training.data.files import DataFormat
from training.data.readers import Reading
from training.data.sources import Source, seal_source

PASSWORD = "correct horse battery"
_FILE = b'{"text": "Where is my parcel?", "label": "a"}\n'


@cache
def _password_hash() -> str:
    """Made once: it is slow on purpose."""
    return hash_password(PASSWORD)


@dataclass(frozen=True)
class World:
    """A tenant's objects: `arguments` by the names that routes give their ids, and a plain API key."""

    scope: TenantScope
    arguments: Mapping[str, object]
    key: str
    model_name: str


def build_world(scope: TenantScope, *, model_name: str = "messages") -> World:
    """Put one of everything into `scope`'s tenant."""
    tenant_id = scope.tenant_id
    base = get_base_model(DEFAULT_BASE_MODEL)

    def owned(cls, **values):
        row = cls(tenant_id=tenant_id, id=uuid4(), **values)
        session.add(row)
        session.flush()
        return row

    with operator_session("test") as session:
        user = owned(
            User,
            email=f"{uuid4()}@example.com",
            name="Grace",
            password_hash=_password_hash(),
            role=Role.VIEWER,
        )
        signed_in = owned(
            UserSession,
            user_id=user.id,
            device="Firefox on Linux",
            network="192.0.2.0/24",
            started_at=now(),
            last_seen_at=now(),
        )
        passkey = owned(
            UserPasskey,
            user_id=user.id,
            name="Work laptop",
            credential_id=uuid4().bytes,
            public_key=uuid4().bytes,
            sign_count=0,
        )
        invite = owned(
            Invite,
            email="invited@example.com",
            role=Role.VIEWER,
            token_digest=uuid4().bytes,
            expires_at=now() + timedelta(days=1),
        )
        key, plain = api_keys.create(session, scope, "test")
        dataset = owned(Dataset, name="Messages")
        version = owned(
            DatasetVersion,
            dataset_id=dataset.id,
            number=1,
            status=DatasetStatus.READY,
            format="csv",
            size_bytes=100,
            digest="0" * 64,
            blob=f"datasets/{uuid4()}/rows.jsonl",
            rows=20,
            labels=["a", "b"],
            split_counts={"train": 16, "validation": 2, "test": 2},
            progress=1.0,
            ready_at=now(),
        )
        data_key = tenant_key(session, tenant_id)
        columns = ColumnMapping("text", "label")
        source = Source("messages.csv", columns.columns, Reading(DataFormat.CSV), columns)
        version.sealed_source = seal_source(data_key, version, source)
        correction = owned(
            FindingCorrection,
            version_id=version.id,
            digest=bytes(32),
            sealed_value=bytes(32),
            entity="PERSON",
        )
        model = owned(Model, name=model_name, base_model=base.id)
        job = owned(
            FineTuneJob,
            model_id=model.id,
            dataset_version_id=version.id,
            base_model=base.id,
            method=Method.LORA,
            settings={},
            seed=0,
            status=JobStatus.FAILED,
            error="The worker stopped.",
        )
        adapter = owned(
            Adapter,
            model_id=model.id,
            job_id=job.id,
            version=1,
            digest="0" * 64,
            blob=f"adapters/{uuid4()}.safetensors",
            size_bytes=100,
            base_model=base.id,
            base_digest=base.sha256,
            method=Method.LORA,
            rank=8,
            labels=["a", "b"],
            evaluation={},
            lineage={},
            promotable=False,
        )
        file = owned(
            ApiFile,
            sealed_filename=b"",  # until it is known whose it is
            purpose=FilePurpose.FINE_TUNE,
            size_bytes=len(_FILE),
            digest=sha256(_FILE).hexdigest(),
            blob=f"files/{uuid4()}",
        )
        seal_filename(data_key, file, "messages.jsonl")
        blob_store().put(data_key, file.blob, _FILE)
        request = owned(
            FineTuneRequest,
            training_file_id=file.id,
            task=Task.CLASSIFICATION,
            base_model=base.id,
            model_name=model.name,
            hyperparameters={},
            settings={},
            seed=0,
            fingerprint="0" * 64,
            status=RequestStatus.FAILED,
            error="Only 1 row to learn from.",
        )
        batch = owned(
            Batch,
            input_file_id=file.id,
            endpoint="/v1/classify",
            completion_window="24h",
            status=BatchStatus.FAILED,
            error="The file has no lines.",
            error_line=1,
            expires_at=now(),
            finished_at=now(),
            api_key_id=key.id,
        )
        export = owned(DataExport, status=ExportStatus.FAILED, error="The archive could not be made.")
        budget = owned(Budget, monthly_cents=1_000, is_cap=True)
        period = Month.containing(now())
        invoice = owned(
            Invoice,
            number=f"T-{uuid4().hex[:12]}",
            status=InvoiceStatus.OPEN,
            plan_code="trial",
            currency="USD",
            period_start=period.start,
            period_end=period.end,
            total_cents=0,
            issued_at=now(),
            due_at=now(),
        )
        price = session.scalars(
            select(PlanPrice).filter_by(plan_code="trial", kind=PriceKind.PREDICTION)
        ).one()
        owned(
            InvoiceLine,
            invoice_id=invoice.id,
            position=1,
            kind=price.kind,
            price_id=price.id,
            usage_month=period.days[0],
            description="Prediction tokens",
            quantity=1,
            included_quantity=1,
            billable_quantity=0,
            unit_amount=price.unit_amount,
            amount_cents=0,
            starts_at=period.start,
            ends_at=now(),
        )
        note = owned(
            CreditNote,
            number=f"CN-{uuid4().hex[:12]}",
            invoice_id=invoice.id,
            reason="Outage",
            currency="USD",
            amount_cents=1,
            due_cents=1,
            refund_cents=0,
            credit_cents=0,
            issued_at=now(),
            issued_by="finance",
        )
        fact = owned(
            UsageFact,
            request_id=str(uuid4()),
            kind=UsageKind.PREDICTION,
            quantity=1,
            source=UsageSource.API,
            occurred_at=now(),
        )
        mirrored = owned(
            StripeInvoice,
            stripe_invoice_id=f"in_{uuid4().hex}",
            invoice_id=invoice.id,
            status="draft",
            currency="usd",
            period_start=period.start,
            period_end=period.end,
            total_cents=0,
            tax_cents=0,
            amount_due_cents=0,
            amount_paid_cents=0,
            attempt_count=0,
            held_at=now(),
            held_reason="Stripe asks for a cent more.",
            comparison=[{"line": "Monthly fee", "ledger_cents": 0, "stripe_cents": 1}],
            fetched_at=now(),
        )
        report = owned(
            UsageReport,
            kind=UsageKind.PREDICTION,
            hour=period.start,
            sequence=1,
            quantity=1,
            identifier=str(uuid4()),
            status=ReportStatus.REJECTED,
            error="no_meter_found",
        )
        event = StripeEvent(
            id=uuid4(),
            event_id=f"evt_{uuid4().hex}",
            type="invoice.paid",
            object_id=mirrored.stripe_invoice_id,
            occurred_at=now(),
            received_at=now(),
            attempts=12,
            error="Stripe did not answer.",
        )
        session.add(event)
        session.commit()
    ids: dict[str, object] = {
        "user_id": user.id,
        "session_id": signed_in.id,
        "passkey_id": passkey.id,
        "invite_id": invite.id,
        "key_id": key.id,
        "dataset_id": dataset.id,
        "version_id": version.id,
        "correction_id": correction.id,
        "model_id": model.id,
        "job_id": job.id,
        "adapter_id": adapter.id,
        "invoice_id": invoice.id,
        "budget_id": budget.id,
        "export_id": export.id,
        "credit_note_id": note.id,
        "fact_id": fact.id,
        "stripe_invoice_id": mirrored.id,
        "report_id": report.id,
        "event_id": event.id,
        "tenant_id": tenant_id,
        "file_id": public_id(Prefix.FILE, file.id),
        "fine_tuning_job_id": public_id(Prefix.JOB, request.id),
        "batch_id": public_id(Prefix.BATCH, batch.id),
        "model": model.name,
    }
    return World(scope, ids, plain, model.name)
