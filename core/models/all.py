"""Every table, for whoever needs the whole schema: the migrations and the tests."""

from core.models import (
    api_keys,
    audit,
    batches,
    billing,
    datasets,
    files,
    fine_tune_jobs,
    fine_tune_requests,
    kept_answers,
    models,
    privacy,
    staff,
    tenants,
    usage,
    users,
)
from core.models.base import Base

__all__ = [
    "Base",
    "api_keys",
    "audit",
    "batches",
    "billing",
    "datasets",
    "files",
    "fine_tune_jobs",
    "fine_tune_requests",
    "kept_answers",
    "models",
    "privacy",
    "staff",
    "tenants",
    "usage",
    "users",
]
