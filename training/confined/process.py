"""Starts the process that trains, and does one run with it: the recipe, as the worker calls it, behind a broker."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from core.catalogue import BaseModel
from training.confined.broker import USES, Broker
from training.confined.errors import ChildLost
from training.confined.fences import ROOT
from training.confined.folders import private_folder
from training.confined.frames import Closed, SocketChannel
from training.confined.runs import Kind, Run
from training.grants import LIFETIME_SECONDS, Errand, Grantor
from training.leases import Lease
from training.recipe.data import TrainingData
from training.recipe.monitor import Monitor, Silent
from training.recipe.result import Measurement, Result
from training.recipe.settings import FineTuneSettings

log = structlog.get_logger(__name__)

# What it inherits: where libraries are, and how many cores and which GPU to use. No address, no key.
_NAMES = {"LANG", "TZ", "LD_LIBRARY_PATH"}
_PREFIXES = (
    "LC_",
    "CUDA_",
    "NVIDIA_",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "TORCH_",
    "PYTORCH_",
    "TOKENIZERS_",
    "RAYON_",
)

_CHILD = "training.confined.child"
_START_SECONDS = 180.0
_MAX_GREETING_BYTES = 0


class Child:
    """A process that has started and waits for one run."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def fine_tune(self, lease: Lease) -> Callable[..., Result]:
        """training.recipe.by_task.fine_tune for the leased job, over there. Raises what `Broker.serve` does."""

        def fine_tune(
            data: TrainingData[Any],
            settings: FineTuneSettings,
            base: BaseModel,
            seed: int,
            monitor: Monitor,
            checkpoint: bytes | None = None,
        ) -> Result:
            run = Run(Kind.FINE_TUNE, data, settings, base, seed, checkpoint)
            tenant, version = str(lease.scope.tenant_id), str(lease.version_id)
            errand = Errand(tenant, str(lease.job_id), lease.attempt, version, USES[run.kind])
            result = self._serve(run, errand, monitor)
            assert isinstance(result, Result)
            return result

        return fine_tune

    def measure(self, tenant_id: UUID, version_id: UUID) -> Callable[..., Measurement]:
        """training.recipe.by_task.measure of the dataset version, over there. Raises what `Broker.serve` does."""

        def measure(
            data: TrainingData[Any], settings: FineTuneSettings, base: BaseModel, beat: Callable[[], None]
        ) -> Measurement:
            run = Run(Kind.MEASURE, data, settings, base)
            errand = Errand(str(tenant_id), "estimate", 0, str(version_id), USES[run.kind])
            measured = self._serve(run, errand, _Beating(beat))
            assert isinstance(measured, Measurement)
            return measured

        return measure

    def _serve(self, run: Run, errand: Errand, monitor: Monitor) -> Result | Measurement:
        channel = SocketChannel(self._connection, LIFETIME_SECONDS)
        return Broker(channel, Grantor(errand), run, monitor).serve()


class _Beating(Silent):
    """Passes beats on, and nothing else."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat

    def beat(self, progress: float, eta_seconds: int | None) -> None:
        self._beat()


@contextmanager
def started() -> Iterator[Child]:
    """A new process, which has loaded what it needs. It ends with the context, and with this process, however that ends.

    To be called from the main thread. Raises ChildLost where it does not start.
    """
    ours, theirs = socket.socketpair()
    with ours, private_folder() as folder:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", _CHILD, str(theirs.fileno()), str(os.getpid()), str(folder)],
                env=clean_environment(os.environ, folder),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Who tells the worker to end does not mean it: it ends when its job has been put back.
                start_new_session=True,
            )
        try:
            _wait_for_greeting(ours)
            yield Child(ours)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def clean_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What the process is told: of `environ` nothing that could be a secret."""
    kept = {name: value for name, value in environ.items() if name in _NAMES or name.startswith(_PREFIXES)}
    return kept | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _wait_for_greeting(connection: socket.socket) -> None:
    try:
        greeting = SocketChannel(connection, _START_SECONDS).receive(lambda _header: _MAX_GREETING_BYTES)
    except Closed:
        raise ChildLost from None
    if missing := greeting.header["missing_fences"]:
        log.warning("training_process_lacks_fences", missing=missing)
