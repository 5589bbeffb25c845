"""`make pii-model`: train the tagger of personal data, and write its adapter."""

import argparse
import time
from pathlib import Path

import torch

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from training.pii_model.data import collect
from training.pii_model.train import train

_STEPS = 1200
_BATCH_ROWS = 32
_LAYERS = 6
_SEED = 20261127


def main() -> None:
    """Train with what data is there, and say so."""
    parser = argparse.ArgumentParser(prog="python -m training.pii_model", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=Path("..") / "shared")
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--steps", type=int, default=_STEPS)
    parser.add_argument("--layers", type=int, default=_LAYERS)
    parser.add_argument("--seed", type=int, default=_SEED)
    arguments = parser.parse_args()
    # Sums that threads share out are added in another order on another number of processors.
    torch.set_num_threads(1)
    started = time.monotonic()

    def tell(line: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {line}", flush=True)

    data = collect(arguments.steps * _BATCH_ROWS, arguments.seed, arguments.shared, arguments.corpora)
    for line in data.sources:
        tell(line)
    file = train(
        data,
        get_base_model(DEFAULT_BASE_MODEL),
        layers=arguments.layers,
        batch_rows=_BATCH_ROWS,
        seed=arguments.seed,
        tell=tell,
    )
    arguments.output.write_bytes(file)
    tell(f"{arguments.output}: {len(file) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
