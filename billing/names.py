"""What people call a tenant's models, keys and fine-tunes, as lists of usage name them."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.api_keys import ApiKey
from core.models.fine_tune_jobs import FineTuneJob
from core.models.models import Model
from core.models.usage import UsageSource

_WITHOUT_KEY = {
    UsageSource.API: "API",
    UsageSource.PLAYGROUND: "Playground",
    UsageSource.JOB: "Fine-tune jobs",
}


class Names:
    """A tenant's names, read once."""

    def __init__(self, session: Session, tenant_id: UUID) -> None:
        self._models = {
            row.id: row.name
            for row in session.execute(select(Model.id, Model.name).where(Model.tenant_id == tenant_id))
        }
        self._keys = {
            row.id: f"{row.name} ({row.prefix}…)"
            for row in session.execute(
                select(ApiKey.id, ApiKey.name, ApiKey.prefix).where(ApiKey.tenant_id == tenant_id)
            )
        }
        self._jobs = {
            row.id: f"{self.model(row.model_id)}, {row.queued_at:%-d %b %Y %H:%M}"
            for row in session.execute(
                select(FineTuneJob.id, FineTuneJob.model_id, FineTuneJob.queued_at).where(
                    FineTuneJob.tenant_id == tenant_id
                )
            )
        }

    def model(self, model_id: UUID | None) -> str:
        return self._models.get(model_id, "Unknown model") if model_id else "No model"

    def key(self, key: UUID | UsageSource) -> str:
        """Of a key by its id; of usage without one, by where it came from."""
        return _WITHOUT_KEY[key] if isinstance(key, UsageSource) else self._keys.get(key, "Unknown key")

    def job(self, job_id: UUID | None) -> str:
        return self._jobs.get(job_id, "Unknown fine-tune") if job_id else "No fine-tune"
