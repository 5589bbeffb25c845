"""Who asks by the API: the request being answered, as metering wants to know it."""

from core.models.usage import UsageSource
from inference.gateway.auth import caller
from inference.gateway.metering import Asker
from inference.gateway.request_id import request_id


def asker() -> Asker:
    """The key that the request came with."""
    key = caller()
    return Asker(key.scope, UsageSource.API, key.id, request_id())
