"""The trusted side of a run: answers the process that trains, which has no credentials but its grant.

It may read its rows and its checkpoint, report, and hand over checkpoints and one result. Every message is checked against
the grant before its body is read, and each value of it before it is used. Whatever does not pass ends the run.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog

from core.models.fine_tune_jobs import JobStatus
from training.confined import adapters
from training.confined.checks import line, number, whole
from training.confined.errors import ChildBroke, ChildLost, Refused
from training.confined.frames import Channel, Closed, Malformed, Message
from training.confined.pace import Pace
from training.confined.results import MAX_TOKENS, checked_measurement, checked_result
from training.confined.runs import SPLITS, Kind, Run, take_page
from training.confined.traces import known_frames
from training.grants import Grantor, InvalidGrant, Use
from training.job_log import LONGEST_MESSAGE
from training.recipe.errors import RecipeError
from training.recipe.monitor import Monitor
from training.recipe.result import Measurement, Result
from training.recipe.settings import SettingsError

log = structlog.get_logger(__name__)

MAX_CHECKPOINT_BYTES = 1 << 30
MAX_LOG_LINES = 2_000
MAX_POINTS = 100_000
MAX_CURVES = 20

_MAX_ETA_SECONDS = 10**8
_MAX_STEP = 10**9
_MESSAGES = 200.0, 1_000.0  # a second, and at once
_BYTES = float(64 << 20), float(4 << 30)

_NOTHING = 0


@dataclass(frozen=True, slots=True)
class _Operation:
    """What a message asks for: the use that its grant must admit to, its body's longest, and what does it."""

    use: Use
    most_bytes: int
    do: "Callable[[Broker, Message], Message | None]"


class Broker:
    """Serves one run over one channel."""

    def __init__(self, channel: Channel, grantor: Grantor, run: Run, monitor: Monitor) -> None:
        self._channel = channel
        self._grantor = grantor
        self._run = run
        self._monitor = monitor
        self._messages = Pace(*_MESSAGES)
        self._bytes = Pace(*_BYTES)
        rows = (split if isinstance(split, list) else list(split) for split in run.data.splits)
        self._rows_of = dict(zip(SPLITS, rows, strict=True))
        self._next = dict.fromkeys(SPLITS, 0)
        self._announced_tokens: int | None = None
        self._lines = self._points = 0
        self._curves: set[str] = set()
        self._result: Result | Measurement | None = None

    def serve(self) -> Result | Measurement:
        """Answer until the run has ended, and return what it came to.

        Raises Refused and ChildLost; ChildBroke, RecipeError, SettingsError, MemoryError and OSError as the recipe does
        there; and what the monitor raises.
        """
        context = self._context()
        try:
            self._answer(Message({"order": self._run.order(), "version": self._grantor.errand.version}))
            while True:
                message = self._channel.receive(self._most_bytes)
                operation = _OPERATIONS[message.header["op"]]
                self._messages.take(1)
                self._bytes.take(len(message.body))
                answer = operation.do(self, message)
                if self._result is not None:
                    return self._result
                self._answer(answer or Message({}))
        except Closed:
            raise ChildLost from None
        except (Malformed, InvalidGrant, Refused) as refused:
            context.warning("training_process_refused", reason=refused.reason)
            raise Refused(refused.reason) from None

    def _context(self) -> Any:
        errand = self._grantor.errand
        return log.bind(tenant_id=errand.tenant, job_id=errand.job, attempt=errand.attempt)

    def _answer(self, message: Message) -> None:
        grant = self._grantor.grant(time.monotonic())
        self._channel.send(Message({**message.header, "grant": grant}, message.body))

    def _most_bytes(self, header: Mapping[str, Any]) -> int:
        name = header.get("op")
        operation = _OPERATIONS.get(name) if isinstance(name, str) else None
        if operation is None:
            raise Refused("unknown_operation")
        self._grantor.check(header.get("grant"), operation.use, time.monotonic())
        return operation.most_bytes

    def _rows(self, message: Message) -> Message:
        if message.header.get("version") != self._grantor.errand.version:
            raise Refused("other_version")
        split = message.header.get("split")
        if split not in SPLITS:
            raise Refused("wrong_split")
        start = whole(message.header.get("start"), "start", self._next[split], self._next[split])
        page, self._next[split] = take_page(self._rows_of[split], start)
        return Message({}, page)

    def _checkpoint(self, _message: Message) -> Message:
        checkpoint = self._run.checkpoint
        return Message({"found": checkpoint is not None}, checkpoint or b"")

    def _save(self, message: Message) -> None:
        self._monitor.save_checkpoint(message.body)

    def _phase(self, message: Message) -> None:
        status = message.header.get("status")
        if status not in list(JobStatus) or not JobStatus(status).is_running:
            raise Refused("wrong_status")
        self._monitor.phase(
            JobStatus(status), line(message.header.get("message"), "message", LONGEST_MESSAGE)
        )

    def _will_read(self, message: Message) -> None:
        if self._announced_tokens is not None:
            raise Refused("tokens_announced_twice")
        tokens = whole(message.header.get("training_tokens"), "training_tokens", 0, MAX_TOKENS)
        self._announced_tokens = tokens
        self._monitor.will_read(tokens)

    def _beat(self, message: Message) -> None:
        eta = message.header.get("eta_seconds")
        self._monitor.beat(
            number(message.header.get("progress"), "progress", 0, 1),
            None if eta is None else whole(eta, "eta_seconds", 0, _MAX_ETA_SECONDS),
        )

    def _metrics(self, message: Message) -> None:
        points = message.header.get("points")
        if not isinstance(points, list):
            raise Refused("wrong_points")
        self._points += len(points)
        if self._points > MAX_POINTS:
            raise Refused("too_many_points")
        for point in points:
            match point:
                case [str(name), step, epoch, value] if (
                    name.isascii() and name.isidentifier() and len(name) <= 40
                ):
                    self._curves.add(name)
                    self._monitor.metric(
                        name,
                        whole(step, "step", 0, _MAX_STEP),
                        number(epoch, "epoch", 0, _MAX_STEP),
                        number(value, "value", -1e30, 1e30),
                    )
                case _:
                    raise Refused("wrong_points")
        if len(self._curves) > MAX_CURVES:
            raise Refused("too_many_curves")

    def _log(self, message: Message) -> None:
        self._lines += 1
        if self._lines > MAX_LOG_LINES:
            raise Refused("too_many_lines")
        self._monitor.log(line(message.header.get("message"), "message", LONGEST_MESSAGE))

    def _finished(self, message: Message) -> None:
        self._result = checked_result(
            message.header.get("result"), message.body, self._run, self._announced_tokens
        )

    def _measured(self, message: Message) -> None:
        self._result = checked_measurement(message.header.get("result"))

    def _failed(self, message: Message) -> NoReturn:
        header = message.header
        match header.get("kind"):
            case "recipe":
                raise RecipeError(line(header.get("message"), "message", LONGEST_MESSAGE))
            case "settings":
                field = line(header.get("field"), "field", LONGEST_MESSAGE)
                raise SettingsError(field, line(header.get("message"), "message", LONGEST_MESSAGE))
            case "memory":
                raise MemoryError
            case "system":
                raise OSError
            case "broke":
                self._context().error("training_process_broke", trace=known_frames(header.get("trace")))
                raise ChildBroke
        raise Refused("wrong_failure")


_OPERATIONS = {
    "rows": _Operation(Use.READ_ROWS, _NOTHING, Broker._rows),
    "checkpoint": _Operation(Use.READ_CHECKPOINT, _NOTHING, Broker._checkpoint),
    "save": _Operation(Use.WRITE_CHECKPOINT, MAX_CHECKPOINT_BYTES, Broker._save),
    "phase": _Operation(Use.REPORT, _NOTHING, Broker._phase),
    "will_read": _Operation(Use.REPORT, _NOTHING, Broker._will_read),
    "beat": _Operation(Use.REPORT, _NOTHING, Broker._beat),
    "metrics": _Operation(Use.REPORT, _NOTHING, Broker._metrics),
    "log": _Operation(Use.REPORT, _NOTHING, Broker._log),
    "failed": _Operation(Use.REPORT, _NOTHING, Broker._failed),
    "finished": _Operation(Use.WRITE_ADAPTER, adapters.MAX_BYTES, Broker._finished),
    "measured": _Operation(Use.WRITE_ESTIMATE, _NOTHING, Broker._measured),
}

USES = {
    Kind.FINE_TUNE: frozenset(Use) - {Use.WRITE_ESTIMATE},
    Kind.MEASURE: frozenset({Use.READ_ROWS, Use.REPORT, Use.WRITE_ESTIMATE}),
}
"""What a run of each kind is granted."""
