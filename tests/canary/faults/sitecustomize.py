"""Faults for a stack under test, in every process that has this folder on its PYTHONPATH.

A text that holds one of the words below makes the code that reads it fail, with that text in the error's message.
"""

import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

RAISE, CRASH, HANG, POOL, STREAM = (
    f"zz-fault-{word}" for word in ("raise", "crash", "hang", "pool", "stream")
)
HANGS = "it-hangs"
"""The file in TMPDIR that says that a process hangs."""


class Crash(BaseException):
    """What no handler of errors takes."""


def _break_detection(module: ModuleType) -> None:
    find_denied = module.find_denied

    def fail(text: str, *rest: Any) -> Any:
        if RAISE in text:
            raise ValueError(f"cannot read {text}")
        if CRASH in text:
            raise Crash(f"cannot read {text}")
        if HANG in text:
            Path(os.environ["TMPDIR"], HANGS).touch()
            threading.Event().wait()
        return find_denied(text, *rest)

    module.find_denied = fail  # type: ignore[attr-defined]


def _break_restoring(module: ModuleType) -> None:
    restore = module.Restorer.restore

    def fail(self: Any, pieces: Any) -> Any:
        said = str(self._values)
        for count, piece in enumerate(restore(self, pieces)):
            if count and STREAM in said:
                raise ValueError(f"cannot restore {said}")
            yield piece

    module.Restorer.restore = fail


def _break_pool(module: ModuleType) -> None:
    tokenise = module.LoadedBase.tokenise

    def fail(self: Any, texts: Sequence[str]) -> Any:
        if any(POOL in text for text in texts):
            raise ValueError(f"cannot tokenise {texts}")
        return tokenise(self, texts)

    module.LoadedBase.tokenise = fail


_FAULTS: dict[str, Callable[[ModuleType], None]] = {
    "core.privacy.denied": _break_detection,
    "core.privacy.restore": _break_restoring,
    "inference.pool.base": _break_pool,
}


class _BreakingLoader(Loader):
    def __init__(self, loader: Loader, fault: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._fault = fault

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._fault(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FAULTS:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _BreakingLoader(spec.loader, _FAULTS[fullname])
        return spec


if (
    __name__ == "sitecustomize"
):  # as Python itself imports it; a test that wants the words above is left whole
    sys.meta_path.insert(0, _Finder())
