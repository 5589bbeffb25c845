"""What the figures were measured on."""

import os
import platform
from pathlib import Path

import torch


def describe() -> str:
    """The processor, the cores that this process may use, and the versions that matter."""
    cores = len(os.sched_getaffinity(0))
    return f"{_processor()}, {cores} cores, torch {torch.__version__}, Python {platform.python_version()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
