"""The broker: an honest process gets what is its own, and any other gets nothing and is noticed."""

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.models.fine_tune_jobs import JobStatus
from tests.training.confined.peers import DATA, RUN, Told, examples, serving
from training.confined import broker as brokers
from training.confined.broker import USES, Broker
from training.confined.errors import ChildBroke, ChildLost, Refused
from training.confined.frames import Closed, Message
from training.confined.remote import Remote, RemoteMonitor
from training.confined.runs import MAX_PAGE_BYTES, Kind, Run
from training.data.rows import Message as Said
from training.grants import LIFETIME_SECONDS, Errand, Grantor, Use
from training.recipe.data import (
    ChatData,
    ClassificationData,
    Conversation,
    Example,
    MultiLabelData,
    MultiLabelExample,
    TaggedExample,
    TaggingData,
)
from training.recipe.errors import RecipeError
from training.recipe.result import Measurement
from training.recipe.settings import SettingsError

MEASURE = replace(RUN, kind=Kind.MEASURE)
SECRET = "SECRET text"


def refusal(header: dict[str, Any], body: bytes = b"", run: Run = RUN) -> tuple[str, list[Any]]:
    """Why a message that shows a good grant is refused, and what the monitor was told."""
    with serving(run) as peer:
        remote = peer.remote()
        peer.send({"grant": remote.grant, **header}, body)
        outcome = peer.end()
    assert isinstance(outcome, Refused)
    return outcome.reason, peer.monitor.calls


def test_an_honest_process_is_given_its_order_its_rows_and_its_checkpoint():
    with serving() as peer:
        remote = Remote(peer.channel)
        order = remote.order()
        assert (order.kind, order.settings, order.seed) == (RUN.kind, RUN.settings, RUN.seed)
        assert order.base == RUN.base
        assert remote.data(order) == DATA
        assert remote.checkpoint() == RUN.checkpoint


@pytest.mark.parametrize(
    "data",
    [
        MultiLabelData(
            ("a",), [MultiLabelExample("\ud83d half", ("a",), 1)], [MultiLabelExample("", (), 2)], []
        ),
        TaggingData(("PER",), [TaggedExample(("Ada", "ran"), ("B-PER", "O"), 1)], [], []),
        ChatData((), [Conversation((Said("user", "Hi"), Said("assistant", "Yes?")), 1)], [], []),
        ClassificationData(
            ("a",), [Example("x" * (MAX_PAGE_BYTES // 2), "a", row) for row in range(5)], [], []
        ),
    ],
    ids=["multi-label", "tagging", "chat", "several pages"],
)
def test_rows_of_every_task_arrive_as_they_are(data):
    with serving(replace(RUN, data=data)) as peer:
        remote = Remote(peer.channel)
        assert remote.data(remote.order()) == data


def test_rows_are_let_go_of_once_they_are_sent():
    train = examples(5)
    run = replace(RUN, data=replace(DATA, train=train))
    with serving() as peer:
        broker = Broker(peer.channel, peer.grantor, run, peer.monitor)
        broker._rows(Message({"version": "version", "split": "train", "start": 0}))
    assert train == [None] * 5


def test_what_the_recipe_reports_reaches_the_monitor():
    with serving() as peer:
        monitor = RemoteMonitor(peer.remote(), clock=iter(range(10)).__next__)
        monitor.phase(JobStatus.TRAINING, "Training")
        monitor.will_read(100)
        monitor.metric("train_loss", 1, 0.5, 2.0)
        monitor.metric("train_loss", 2, 1.0, float("nan"))
        monitor.beat(0.5, None)
        monitor.log("Half of it")
        monitor.save_checkpoint(b"state")
    assert peer.monitor.calls == [
        ("phase", JobStatus.TRAINING, "Training"),
        ("will_read", 100),
        ("metric", "train_loss", 1, 0.5, 2.0),
        ("beat", 0.5, None),
        ("log", "Half of it"),
        ("save_checkpoint", b"state"),
    ]


def test_beats_in_quick_succession_are_one_message():
    with serving() as peer:
        monitor = RemoteMonitor(peer.remote(), clock=lambda: 1.0)
        for _ in range(100):
            monitor.beat(0.5, 10)
    assert peer.monitor.calls == [("beat", 0.5, 10)]


def test_what_the_monitor_raises_ends_the_run_and_reaches_its_caller():
    class Stop(Exception):
        pass

    class Stopping(Told):
        def beat(self, progress: float, eta_seconds: int | None) -> None:
            raise Stop

    with serving(monitor=Stopping()) as peer:
        remote = peer.remote()
        peer.send({"op": "beat", "grant": remote.grant, "progress": 0.1, "eta_seconds": None})
        assert isinstance(peer.end(), Stop)


def test_every_answer_brings_a_grant_that_lives_on():
    with serving() as peer:
        remote = peer.remote()
        first = remote.grant
        remote.ask("log", message="Still here")
        assert remote.grant != first


@pytest.mark.parametrize(
    ("errand", "reason"),
    [
        ({"tenant": "another"}, "other_tenant"),
        ({"job": "another"}, "other_job"),
        ({"attempt": 2}, "other_attempt"),
        ({"version": "another"}, "other_version"),
    ],
)
def test_a_grant_of_another_errand_opens_nothing(errand, reason):
    with serving() as peer:
        peer.remote()
        other = Grantor(replace(peer.grantor.errand, **errand), peer.grantor._key)
        peer.send(
            {
                "op": "rows",
                "grant": other.grant(time.monotonic()),
                "version": "version",
                "split": "train",
                "start": 0,
            }
        )
        outcome = peer.end()
    assert isinstance(outcome, Refused)
    assert outcome.reason == reason


def test_a_grant_of_an_earlier_attempt_opens_nothing():
    earlier = Grantor(Errand("tenant", "job", 1, "version", USES[Kind.FINE_TUNE])).grant(time.monotonic())
    assert refusal({"op": "checkpoint", "grant": earlier})[0] == "wrong_signature"


def test_a_grant_that_has_expired_opens_nothing():
    with serving() as peer:
        peer.remote()
        expired = peer.grantor.grant(time.monotonic() - LIFETIME_SECONDS)
        peer.send({"op": "checkpoint", "grant": expired})
        outcome = peer.end()
    assert isinstance(outcome, Refused)
    assert outcome.reason == "expired"


@pytest.mark.parametrize("operation", ["checkpoint", "save", "finished"])
def test_an_estimate_may_neither_read_nor_write_what_is_a_jobs(operation):
    assert refusal({"op": operation, "result": {}}, run=MEASURE) == ("use_not_granted", [])


def test_a_job_may_not_end_as_an_estimate():
    assert refusal({"op": "measured"})[0] == "use_not_granted"
    assert USES[Kind.FINE_TUNE] | {Use.WRITE_ESTIMATE} == frozenset(Use)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({}, "unknown_operation"),
        ({"op": "sql"}, "unknown_operation"),
        ({"op": ["rows"]}, "unknown_operation"),
        ({"op": "checkpoint", "grant": None}, "malformed_grant"),
        ({"op": "rows", "version": "another", "split": "train", "start": 0}, "other_version"),
        ({"op": "rows", "version": "version", "split": "../train", "start": 0}, "wrong_split"),
        ({"op": "rows", "version": "version", "split": "train", "start": -1}, "wrong_start"),
        ({"op": "rows", "version": "version", "split": "train", "start": 1}, "wrong_start"),
        ({"op": "rows", "version": "version", "split": "train", "start": True}, "wrong_start"),
        ({"op": "phase", "status": "succeeded", "message": "Done"}, "wrong_status"),
        ({"op": "phase", "status": ["training"], "message": "Done"}, "wrong_status"),
        ({"op": "phase", "status": "training", "message": 5}, "wrong_message"),
        ({"op": "will_read", "training_tokens": -1}, "wrong_training_tokens"),
        ({"op": "will_read", "training_tokens": 10**30}, "wrong_training_tokens"),
        ({"op": "beat", "progress": 1.5, "eta_seconds": None}, "wrong_progress"),
        ({"op": "beat", "progress": 0.5, "eta_seconds": 1e3}, "wrong_eta_seconds"),
        ({"op": "log", "message": {"html": "<b>"}}, "wrong_message"),
        ({"op": "metrics", "points": {}}, "wrong_points"),
        ({"op": "metrics", "points": [["<b>", 1, 0.1, 1.0]]}, "wrong_points"),
        ({"op": "metrics", "points": [["loss", 1, 0.1, 1e300]]}, "wrong_value"),
        ({"op": "metrics", "points": [["loss", 1, 0.1]]}, "wrong_points"),
        ({"op": "failed", "kind": "else"}, "wrong_failure"),
        ({"op": "failed", "kind": "recipe"}, "wrong_message"),
        ({"op": "finished", "result": {"rank": 2}}, "wrong_result"),
        ({"op": "finished", "result": None}, "wrong_result"),
    ],
)
def test_what_is_not_as_it_should_be_ends_the_run_and_reaches_nobody(header, reason):
    assert refusal(header) == (reason, [])


def test_a_body_where_none_belongs_is_not_read():
    assert refusal({"op": "log", "message": "Hello"}, b"x")[0] == "body_too_long"


def test_a_checkpoint_that_is_too_large_is_not_read(monkeypatch):
    assert brokers._OPERATIONS["save"].most_bytes == brokers.MAX_CHECKPOINT_BYTES
    small = replace(brokers._OPERATIONS["save"], most_bytes=10)
    monkeypatch.setitem(brokers._OPERATIONS, "save", small)
    assert refusal({"op": "save"}, b"x" * 11) == ("body_too_long", [])


def test_tokens_are_announced_once_and_are_those_that_are_paid_for():
    with serving() as peer:
        remote = peer.remote()
        remote.ask("will_read", training_tokens=100)
        peer.send({"op": "will_read", "grant": remote.grant, "training_tokens": 1})
        outcome = peer.end()
    assert isinstance(outcome, Refused)
    assert outcome.reason == "tokens_announced_twice"


@pytest.mark.parametrize(
    ("limit", "header", "reason"),
    [
        ("MAX_LOG_LINES", {"op": "log", "message": "line"}, "too_many_lines"),
        ("MAX_POINTS", {"op": "metrics", "points": [["loss", 1, 0.1, 1.0]]}, "too_many_points"),
        ("MAX_CURVES", {"op": "metrics", "points": [["loss", 1, 0.1, 1.0]]}, "too_many_curves"),
    ],
)
def test_nobody_fills_the_database(monkeypatch, limit, header, reason):
    monkeypatch.setattr(brokers, limit, 0)
    assert refusal(header)[0] == reason


def test_a_line_of_the_log_is_one_line_of_bounded_length_without_control_characters():
    with serving() as peer:
        remote = peer.remote()
        remote.ask("log", message="\x1b[31m<script>\n\0" + "x" * 1000)
    [(_, line)] = peer.monitor.calls
    assert line.startswith(" [31m<script>  xxx")
    assert len(line) == 500


@pytest.mark.parametrize(
    ("header", "error", "words"),
    [
        ({"kind": "recipe", "message": "Add rows."}, RecipeError, "Add rows."),
        ({"kind": "settings", "field": "rank", "message": "Too high."}, SettingsError, "Too high."),
        ({"kind": "memory"}, MemoryError, ""),
        ({"kind": "system"}, OSError, ""),
        ({"kind": "broke", "trace": [[SECRET, 1], ["/etc/passwd", 1], 5]}, ChildBroke, ""),
    ],
)
def test_a_failure_is_told_in_the_recipes_words_or_in_none(header, error, words, logged):
    with serving() as peer:
        remote = peer.remote()
        peer.send({"op": "failed", "grant": remote.grant, **header})
        outcome = peer.end()
    assert isinstance(outcome, error)
    assert str(outcome) == words
    assert SECRET not in logged.getvalue()
    assert "passwd" not in logged.getvalue()


def test_a_measurement_is_what_was_measured():
    with serving(MEASURE) as peer:
        remote = peer.remote()
        values = {"seconds": 12.5, "training_tokens": 7, "privacy": None}
        peer.send({"op": "measured", "grant": remote.grant, "result": values})
        assert peer.end() == Measurement(12.5, 7)


def test_a_process_that_is_gone_or_silent_is_lost():
    with serving() as peer:
        peer.remote()
        peer.connection.close()
        assert isinstance(peer.end(), ChildLost)
    with serving(seconds=0.05) as peer:
        peer.remote()
        assert isinstance(peer.end(), ChildLost)


def test_what_is_refused_is_logged_without_what_it_said(monkeypatch):
    captured = structlog.testing.LogCapture()
    monkeypatch.setattr(brokers, "log", structlog.wrap_logger(None, processors=[captured]))
    refusal({"op": SECRET, "message": SECRET})
    refusal({"op": "log", "message": {SECRET: SECRET}})
    assert [entry["event"] for entry in captured.entries] == ["training_process_refused"] * 2
    assert SECRET not in repr(captured.entries)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    [
        "version",
        "split",
        "start",
        "status",
        "message",
        "training_tokens",
        "progress",
        "points",
        "kind",
        "result",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    operation=st.sampled_from(sorted(brokers._OPERATIONS)),
    values=st.dictionaries(_FIELDS, _JSON, max_size=4),
    body=st.binary(max_size=20),
)
def test_whatever_a_hostile_process_says_it_is_answered_or_the_run_ends(operation, values, body):
    with serving() as peer:
        remote = peer.remote()
        with suppress(Closed):
            remote.ask(operation, body, **values)
        peer.connection.close()
        assert isinstance(
            peer.end(), Refused | ChildLost | ChildBroke | RecipeError | SettingsError | MemoryError | OSError
        )
