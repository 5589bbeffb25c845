"""What the process that trains does once it is confined: says so, does one run, and says what came of it."""

import os
import socket
import sys
from typing import Any

from training.confined.frames import Closed, Message, SocketChannel
from training.confined.remote import Remote, RemoteMonitor
from training.confined.results import to_wire
from training.confined.runs import Kind, Order
from training.confined.traces import frames_of
from training.recipe import by_task
from training.recipe.errors import RecipeError
from training.recipe.settings import SettingsError


def work(descriptor: int, missing_fences: list[str]) -> None:
    """Do the run that is asked for at the other end of the socket with this `descriptor`."""
    channel = SocketChannel(socket.socket(fileno=descriptor))
    _be_quiet()
    try:
        channel.send(Message({"missing_fences": missing_fences}))
        _run(Remote(channel))
    except Closed:
        sys.exit("The broker is gone.")


def _be_quiet() -> None:
    """From here on what a library remarks may quote a text."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)


def _run(remote: Remote) -> None:
    order = remote.order()
    try:
        operation, values, body = _done(remote, order)
    except Closed:
        raise
    except Exception as error:
        operation, values, body = "failed", _failure(error), b""
    remote.end(operation, body, **values)


def _done(remote: Remote, order: Order) -> tuple[str, dict[str, Any], bytes]:
    monitor = RemoteMonitor(remote)
    data = remote.data(order)
    if order.kind is Kind.MEASURE:
        measured = by_task.measure(data, order.settings, order.base, lambda: monitor.beat(0.0, None))
        return "measured", {"result": to_wire(measured)}, b""
    checkpoint = remote.checkpoint()
    result = by_task.fine_tune(data, order.settings, order.base, order.seed, monitor, checkpoint)
    monitor.flush()
    return "finished", {"result": to_wire(result)}, result.adapter_file


def _failure(error: Exception) -> dict[str, Any]:
    """An error without its words, but where they are written for the tenant."""
    match error:
        case RecipeError():
            return {"kind": "recipe", "message": str(error)}
        case SettingsError():
            return {"kind": "settings", "field": error.field, "message": str(error)}
        case OSError():
            return {"kind": "system"}
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return {"kind": "memory"}
    return {"kind": "broke", "trace": frames_of(error.__traceback__)}
