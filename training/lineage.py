"""What an adapter was made from and by, so that the run can be repeated."""

import subprocess
from functools import cache
from hashlib import sha256
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from core.catalogue import BaseModel
from core.models.datasets import Dataset, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("torch", "transformers", "peft")


def describe(job: FineTuneJob, dataset: Dataset, version: DatasetVersion, base: BaseModel) -> dict[str, Any]:
    """The lineage of what `job`'s running attempt makes from `version`, as JSON."""
    return {
        "dataset": {
            "id": str(dataset.id),
            "name": dataset.name,
            "version_id": str(version.id),
            "number": version.number,
            "digest": version.digest,
        },
        "base": {"id": base.id, "digest": base.sha256},
        "settings": job.settings,
        "seed": job.seed,
        "attempt": job.attempt,
        "code": code_version(),
        "packages": {name: package_version(name) for name in _PACKAGES},
    }


@cache
def code_version() -> str:
    """The commit that runs, with `-dirty` where files were changed since; outside a repository, the sources' digest."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return described.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return f"sha256:{_digest_of_sources()}"


def _digest_of_sources() -> str:
    digest = sha256()
    for path in sorted((_ROOT / "training").rglob("*.py")):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
