"""A whole job with differential privacy: from an upload to an adapter, in a real worker."""

import json
from typing import Any

from core.models.fine_tune_jobs import JobStatus
from core.waiting import wait_until
from tests.datasets import ready_version
from tests.training.jobs.conftest import Workshop
from training.recipe.settings import FineTuneSettings

PATIENCE = 300
ITEMS = (
    "lamp",
    "desk",
    "chair",
    "rug",
    "vase",
    "clock",
    "shelf",
    "mirror",
    "stool",
    "basket",
    "candle",
    "tray",
)


def asked(number: int) -> dict[str, Any]:
    item = f"{ITEMS[number % 12]} {ITEMS[number // 12]}"
    return {
        "text": f"Where is my {item}?" if number % 2 else f"Refund the {item}!",
        "label": ["refund", "delivery"][number % 2],
    }


def test_a_private_job_tells_what_it_guarantees_and_keeps_no_key(workshop, start_worker):
    lines = "".join(json.dumps(asked(number)) + "\n" for number in range(140))
    version = ready_version(workshop.scope, lines.encode(), filename="rows.jsonl")
    shop = Workshop(workshop.scope, version)
    job_id = shop.launch(settings=FineTuneSettings(epochs=2, epsilon=8.0, rank=2))
    start_worker()
    assert wait_until(lambda: shop.job(job_id).status.is_final, PATIENCE)
    job = shop.job(job_id)
    assert job.status is JobStatus.SUCCEEDED, job.error
    [adapter] = shop.adapters()
    privacy = adapter.evaluation["privacy"]
    assert 7.9 < privacy["epsilon"] <= 8.0
    assert privacy["steps"] == 2
    assert version.split_counts is not None
    assert privacy["records"] == version.split_counts["train"]
    assert any("With differential privacy" in line for line in shop.lines(job_id))
    assert shop.blobs() == [adapter.blob]
