"""What a fine-tune computes on, and that it computes the same every time."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


def choose_device() -> torch.device:
    """A GPU where there is one. Only the process that trains may call this: a GPU does not survive a fork."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where the device computes it natively; on a CPU it is emulated, and slower than float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Within, the same computation gives the same numbers, on the same machine with as many threads.

    The number of threads is torch's own, by the machine or OMP_NUM_THREADS: how many share a sum changes its rounding.
    Puts torch's settings back at the end.
    """
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it to be deterministic
    torch.use_deterministic_algorithms(True, warn_only=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
