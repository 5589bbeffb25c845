"""Whose key is it: every request with a stated permission passes here before its view."""

import time
from dataclasses import dataclass
from threading import Lock
from uuid import UUID

from flask import Flask, current_app, g, request
from sqlalchemy import Connection, bindparam, select

from billing.plans import held_plan_code
from billing.standing import REFUSAL
from core import api_keys
from core.api_keys import AddressNotAllowed, InvalidApiKey, TenantSuspended, VerifiedKey
from core.clock import now
from core.db import operator_connection
from core.models.billing import Plan
from inference.gateway.access import Access
from inference.gateway.errors import ApiError, ErrorType

_MOST_REMEMBERED = 10_000
_HINT = "Send it as the header Authorization: Bearer ad_live_…"


def caller() -> VerifiedKey:
    """The key that the request being answered came with."""
    key: VerifiedKey = g.caller
    return key


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """What the plan of the key's tenant allows a minute, and which plan that is."""

    requests_per_minute: int
    tokens_per_minute: int
    plan_code: str


def limits_of_plan() -> PlanLimits:
    """Those of the tenant whose request is being answered."""
    limits: PlanLimits = g.plan_limits
    return limits


def init_app(app: Flask) -> None:
    """Check the key of every request whose view is not public, and its permission."""
    last_used = _LastUsed()

    @app.before_request
    def admit() -> None:
        if request.endpoint is None:
            return  # no such path: 404 needs no key
        access: Access = vars(current_app.view_functions[request.endpoint])["access"]
        if access.public:
            return
        g.caller, g.plan_limits = _verify(_bearer(), last_used)
        if g.caller.is_payment_missing:
            raise ApiError(402, ErrorType.BILLING, "payment_required", REFUSAL)
        if access.permission is not None:
            g.caller.scope.require(access.permission)


def _bearer() -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        raise _unauthorised("missing_api_key", f"There is no API key. {_HINT}")
    if scheme.lower() != "bearer" or not value.strip():
        raise _unauthorised("invalid_api_key", f"The Authorization header holds no bearer key. {_HINT}")
    return value.strip()


def _verify(plain: str, last_used: "_LastUsed") -> tuple[VerifiedKey, PlanLimits]:
    try:
        with operator_connection("an API key's tenant is not known before its key is found") as connection:
            key = api_keys.verify(connection, plain, request.remote_addr)
            limits = _limits(connection, key.scope.tenant_id)
            if last_used.is_due(key.id):
                api_keys.touch(connection, key.id, now())
    except InvalidApiKey as error:
        raise _unauthorised("invalid_api_key", str(error)) from None
    except AddressNotAllowed as error:
        raise ApiError(403, ErrorType.PERMISSION, "address_not_allowed", str(error)) from None
    except TenantSuspended as error:
        raise ApiError(403, ErrorType.PERMISSION, "tenant_suspended", str(error)) from None
    return key, limits


def _limits(connection: Connection, tenant_id: UUID) -> PlanLimits:
    return PlanLimits(*connection.execute(_PLAN, {"tenant_id": tenant_id, "at": now()}).one())


# Made once: to build it anew takes longer than to run it.
_PLAN = select(Plan.requests_per_minute, Plan.tokens_per_minute, Plan.code).where(
    Plan.code == held_plan_code(bindparam("tenant_id"), bindparam("at"))
)


def _unauthorised(code: str, message: str) -> ApiError:
    return ApiError(401, ErrorType.AUTHENTICATION, code, message)


class _LastUsed:
    """When this process last noted that a key was used, so that most requests write nothing about it."""

    def __init__(self) -> None:
        self._noted: dict[UUID, float] = {}
        self._lock = Lock()

    def is_due(self, key_id: UUID) -> bool:
        """Whether to note the key's use now; the caller then does."""
        moment = time.monotonic()
        with self._lock:
            noted = self._noted.get(key_id)
            if noted is not None and moment - noted < api_keys.LAST_USED_RESOLUTION.total_seconds():
                return False
            if len(self._noted) >= _MOST_REMEMBERED:
                self._noted.clear()
            self._noted[key_id] = moment
            return True
