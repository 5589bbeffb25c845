"""Loads Presidio and spaCy, once per process and when they are first needed: that takes two seconds."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.privacy.names import NameFinder
    from core.privacy.patterns.finder import PatternFinder


@dataclass(frozen=True, slots=True)
class Engines:
    patterns: "PatternFinder"
    names: "NameFinder"


_lock = threading.Lock()


def engines() -> Engines:
    """This process's engines."""
    # `cache` alone would let two threads load them at once.
    with _lock:
        return _load()


@cache
def _load() -> Engines:
    # Presidio logs texts that it fails on, and those are personal data.
    logging.getLogger("presidio-analyzer").disabled = True
    with _hidden("torch", "transformers", "tensorflow"):
        from core.privacy.names import NameFinder
        from core.privacy.patterns.finder import PatternFinder

        return Engines(PatternFinder(), NameFinder())


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Make imports of `modules` fail for a while.

    spaCy and Presidio import torch wherever it is installed, and use none of it here. It would cost each web
    process half a gigabyte and seconds at its start.
    """
    hidden = [name for name in modules if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
