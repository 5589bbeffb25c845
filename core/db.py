"""The database: engines, and sessions bound to one tenant or, by one named door, to none.

Row-level security does the isolation (migrations/rls.py): the app's role sees only rows whose `tenant_id`
equals the transaction's `app.tenant_id`, which `tenant_session` sets at the start of every transaction.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import structlog
from psycopg.pq import ExecStatus
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, SessionTransaction

import core.models.all  # noqa: F401 - a flush follows the foreign keys of every table, so all must be known
from core.config import get_settings
from core.tenancy import TenantScope

log = structlog.get_logger(__name__)

_SET_TENANT = text("SELECT set_config('app.tenant_id', :tenant_id, true)")
# DISCARD ALL but for prepared statements, which read as whoever runs them, and cost time to prepare anew.
_CLEAR_SESSION = b"CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; RESET ALL"
_SCOPE = "scope"
_CALLBACKS = "after_commit"
_USED_AT = "used_at"
_ASK_AFTER_SECONDS = 1.0


def _make_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        pool_size=16,
        max_overflow=48,
        hide_parameters=True,  # a failed statement is logged; the texts and addresses in it are not
        connect_args={"application_name": "adaptary", "connect_timeout": 10},
    )

    @event.listens_for(engine, "checkin")
    def note_use(_connection: Any, record: Any) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def check_idle(connection: Any, record: Any, _proxy: Any) -> None:
        # A server that restarted has dropped the connections that lay idle. One just used need not be asked.
        if time.monotonic() - record.info.get(_USED_AT, 0.0) > _ASK_AFTER_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError(str(type(error))) from None  # and the pool makes another

    @event.listens_for(engine, "reset")
    def clear_session(connection: Any, _record: Any, _state: Any) -> None:
        # What is made per session rather than per transaction outlives its checkout, and would show
        # the next request another tenant's rows.
        connection.rollback()
        # Not by a cursor, which takes longer than the server does.
        result = connection.pgconn.exec_(_CLEAR_SESSION)
        if result.status != ExecStatus.COMMAND_OK:
            raise DisconnectionError("A connection's session could not be cleared.")  # and the pool drops it

    @event.listens_for(engine, "handle_error")
    def hide_values(context: ExceptionContext) -> None:
        # "DETAIL: Key (email)=(ada@example.com) already exists." Whoever catches the error may log it.
        original = str(context.original_exception)
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None:
                error.args = tuple(
                    arg.replace(original, original.partition("\n")[0]) if isinstance(arg, str) else arg
                    for arg in error.args
                )

    return engine


@cache
def app_engine() -> Engine:
    """The engine of the app's role, which row-level security binds."""
    return _make_engine(get_settings().app_database_url)


@cache
def operator_engine() -> Engine:
    """The engine of the operator's role, which sees every tenant."""
    return _make_engine(get_settings().operator_database_url)


def dispose_engines() -> None:
    """Close every pooled connection, as a process that has just forked must."""
    for engine in (app_engine, operator_engine):
        if engine.cache_info().currsize:
            engine().dispose(close=False)
            engine.cache_clear()


class ScopedSession(Session):
    """A session whose every transaction is bound to the tenant in its `info`, where it has one."""

    @property
    def scope(self) -> TenantScope:
        """The scope fixed at creation. Raises LookupError in an operator session."""
        scope: TenantScope | None = self.info.get(_SCOPE)
        if scope is None:
            raise LookupError("An operator session has no tenant scope.")
        return scope


@event.listens_for(ScopedSession, "after_begin")
def _bind_tenant(session: Session, _transaction: SessionTransaction, connection: Any) -> None:
    scope: TenantScope | None = session.info.get(_SCOPE)
    if scope is not None:
        connection.execute(_SET_TENANT, {"tenant_id": str(scope.tenant_id)})


@event.listens_for(ScopedSession, "after_commit")
def _run_callbacks(session: Session) -> None:
    for callback in session.info.pop(_CALLBACKS, []):
        try:
            callback()
        except Exception:
            # The transaction stands. What a callback was to start (a queued job), the clock's sweeper starts.
            log.exception("after_commit_failed")


@event.listens_for(ScopedSession, "after_rollback")
def _drop_callbacks(session: Session) -> None:
    session.info.pop(_CALLBACKS, None)


def after_commit(session: Session, callback: Callable[[], None]) -> None:
    """Run `callback` once, after `session`'s transaction has committed; never if it rolls back."""
    session.info.setdefault(_CALLBACKS, []).append(callback)


def open_tenant_session(scope: TenantScope) -> ScopedSession:
    """A session bound to `scope`; the caller closes it. Prefer `tenant_session` where a block will do."""
    return ScopedSession(app_engine(), expire_on_commit=False, info={_SCOPE: scope})


@contextmanager
def tenant_session(scope: TenantScope) -> Iterator[ScopedSession]:
    """A session that sees `scope`'s tenant only. Nothing commits by itself: leaving the block rolls back."""
    with open_tenant_session(scope) as session:
        yield session


@contextmanager
def operator_session(purpose: str) -> Iterator[ScopedSession]:
    """The one door across tenants: a session that row-level security does not bind.

    `purpose` says in a few words why this work cannot be done inside one tenant; a test lists every caller.
    Nothing commits by itself: leaving the block rolls back.
    """
    _require_purpose(purpose)
    with ScopedSession(operator_engine(), expire_on_commit=False) as session:
        yield session


@contextmanager
def tenant_connection(scope: TenantScope) -> Iterator[Connection]:
    """A transaction that sees `scope`'s tenant only, for what the API reads at every request: without the ORM.

    Leaving the block commits, reads too: psycopg forgets its prepared statements when it rolls back.
    """
    with app_engine().begin() as connection:
        connection.execute(_SET_TENANT, {"tenant_id": str(scope.tenant_id)})
        yield connection


@contextmanager
def operator_connection(purpose: str) -> Iterator[Connection]:
    """`operator_session` for what the API reads at every request: without the ORM. Leaving the block commits."""
    _require_purpose(purpose)
    with operator_engine().begin() as connection:
        yield connection


def _require_purpose(purpose: str) -> None:
    if not purpose:
        raise ValueError("Work across tenants needs a purpose.")
