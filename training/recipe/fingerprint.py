"""What a checkpoint belongs to."""

import json
from hashlib import sha256
from typing import Any

from core.catalogue import BaseModel
from training.recipe.data import TrainingData
from training.recipe.settings import FineTuneSettings


def fingerprint(data: TrainingData[Any], settings: FineTuneSettings, base: BaseModel, seed: int) -> str:
    """The digest of everything that a checkpoint's contents follow from."""
    digest = sha256()
    facts = (type(data).__name__, settings.to_json(), base.sha256, seed, data.labels)
    digest.update(json.dumps(facts).encode())
    for split in (data.train, data.validation, data.test):
        digest.update(f"\n{len(split)}\n".encode())
        for example in split:
            digest.update(f"{example!r}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()
