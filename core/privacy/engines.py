"""Loads what finds personal data, once per process and when it is first needed: that takes a second.

Patterns and the tagger serve every request. spaCy, the second opinion on uploads, is loaded for those only.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.privacy.names import NameFinder
    from core.privacy.patterns.finder import PatternFinder
    from core.privacy.tagger import Tagger

# Presidio and spaCy import these wherever they are installed, and have no use for them here: half a gigabyte.
_HEAVY = ("torch", "transformers", "tensorflow")

# `cache` alone would let two threads load an engine at once.
_lock = threading.Lock()


def patterns() -> "PatternFinder":
    """What finds personal data by its form."""
    with _lock:
        return _load_patterns()


def tagger() -> "Tagger":
    """Our own model, which finds names and what else has no form."""
    with _lock:
        return _load_tagger()


def second_opinion() -> "NameFinder":
    """spaCy's small English model."""
    with _lock:
        return _load_second_opinion()


@cache
def _load_patterns() -> "PatternFinder":
    # Presidio comes with engines of its own, which import spaCy; none of them is used here, and a web process would
    # hold 60 MB more and start a second later.
    with _in_place_of("presidio_analyzer.nlp_engine"), _hidden(*_HEAVY):
        from core.privacy.patterns.finder import PatternFinder

        return PatternFinder()


@cache
def _load_tagger() -> "Tagger":
    from core.privacy.tagger import Tagger

    return Tagger()


@cache
def _load_second_opinion() -> "NameFinder":
    with _hidden(*_HEAVY):
        from core.privacy.names import NameFinder

        return NameFinder()


class _StandIn(ModuleType):
    """A module of which every name is a class that does nothing."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@contextmanager
def _in_place_of(module: str) -> Iterator[None]:
    """Make imports of `module` give a stand-in for a while."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = _StandIn(module)
    try:
        yield
    finally:
        del sys.modules[module]


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Make imports of `modules` fail for a while."""
    hidden = [name for name in modules if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
