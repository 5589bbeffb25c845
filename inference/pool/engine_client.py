"""The front process's end of an engine: starts it, gives it batches, and knows when it has died."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from inference.pool.precision import Precision
from inference.pool.wire import LENGTHS, QueuedRow, batch_frame, read_results

_START_SECONDS = 120.0
_BATCH_SECONDS = 30.0
"""No batch takes a tenth of this: an engine that does hangs, and is ended."""

_SECRETS = ("POOL_TICKET_KEY",)
_KEPT_BYTES = str(1 << 30)


class EngineDied(Exception):
    """The engine's process has ended, or was ended because it hung."""


class BatchFailed(Exception):
    """The engine could not compute the batch, and lives on."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is started with: the descriptor of the adapters' arena, the bases' ids, its precision and threads."""

    arena: int
    bases: tuple[str, ...]
    precision: Precision
    threads: int


class EngineClient:
    """An engine that runs. One batch at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input = process.stdin
        self._output = process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, settings: EngineSettings) -> "EngineClient":
        """Start an engine, and return once it is ready. Raises EngineDied."""
        command = [
            *(sys.executable, "-m", "inference.pool.engine_process"),
            *("--arena", str(settings.arena)),
            *("--bases", ",".join(settings.bases)),
            *("--precision", settings.precision),
            *("--threads", str(settings.threads)),
            *("--parent", str(os.getpid())),
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(settings.arena,),
            env=_environ(settings.threads),
        )
        engine = cls(process)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await engine._read()
        except BaseException as error:
            await engine.stop()
            if isinstance(error, TimeoutError):
                raise EngineDied("The engine took too long to start.") from None
            raise
        return engine

    async def run(self, rows: Sequence[QueuedRow]) -> list[Tensor | None]:
        """The engine's result of each row, in order. Raises EngineDied or BatchFailed."""
        try:
            async with asyncio.timeout(_BATCH_SECONDS):
                self._input.write(batch_frame(rows))
                await self._input.drain()
                header, numbers = await self._read()
        except TimeoutError:
            raise EngineDied("The engine took too long for a batch.") from None
        except ConnectionError:
            raise EngineDied("The engine has ended.") from None
        if "error" in header:
            raise BatchFailed(f"The engine failed: {header['error']}.")
        return read_results(header, numbers)

    async def stop(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _read(self) -> tuple[dict[str, Any], bytes]:
        try:
            header, numbers = LENGTHS.unpack(await self._output.readexactly(LENGTHS.size))
            return json.loads(await self._output.readexactly(header)), await self._output.readexactly(numbers)
        except asyncio.IncompleteReadError:
            raise EngineDied("The engine has ended.") from None


def _environ(threads: int) -> dict[str, str]:
    """The engine's environment: no secret, and no waiting of idle threads that takes a core from another engine.

    Memory that a batch frees is kept for the next one: given back to the system, its page faults take 3 % of the time.
    """
    own = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return own | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "MALLOC_MMAP_THRESHOLD_": _KEPT_BYTES,
        "MALLOC_TRIM_THRESHOLD_": _KEPT_BYTES,
    }
