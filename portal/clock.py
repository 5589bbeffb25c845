"""The clock: what has to happen by itself, again and again. Every task bears running twice."""

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from core.log import configure_logging
from portal import periodic

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A function to call every `seconds`."""

    seconds: float
    function: Callable[[], None]


TASKS = (
    Task(5, periodic.reconcile_jobs),
    Task(15, periodic.requeue_datasets),
    Task(15, periodic.requeue_fine_tune_requests),
    Task(15, periodic.requeue_batches),
    Task(3600, periodic.close_month),
    Task(900, periodic.report_usage),
    Task(10, periodic.ring_for_stripe),
    Task(60, periodic.ring_for_stripe_invoices),
    Task(24 * 3600, periodic.sweep_stripe),
    Task(60, periodic.watch_budgets),
    Task(30, periodic.refresh_standing),
    Task(30, periodic.deliver_notifications),
    Task(600, periodic.delete_kept_answers),
    Task(600, periodic.destroy_tenants),
    Task(3600, periodic.enforce_retention),
    Task(60, periodic.tend_exports),
    Task(30, periodic.tend_account_mail),
)


def run(tasks: tuple[Task, ...] = TASKS) -> None:
    """Call each task at once and then at its interval, until SIGTERM or SIGINT."""
    configure_logging("clock")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    due = dict.fromkeys(tasks, 0.0)
    while not stop.is_set():
        for task in tasks:
            if due[task] <= time.monotonic():
                _call(task)
                due[task] = time.monotonic() + task.seconds
        stop.wait(max(0.0, min(due.values()) - time.monotonic()))


def _call(task: Task) -> None:
    try:
        task.function()
    except Exception:
        # One task that fails must not keep the others, or its own next turn, from happening.
        log.exception("periodic_task_failed", task=task.function.__name__)
