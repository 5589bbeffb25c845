"""One thing at Stripe that goes wrong keeps no other from being done."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from billing.stripe.client import StripeProblem

log = structlog.get_logger(__name__)


@contextmanager
def survived(event: str, **about: str) -> Iterator[None]:
    """Log what goes wrong and go on; of Stripe's own problems the code, as its words may quote an address."""
    try:
        yield
    except StripeProblem as problem:
        log.warning(event, code=problem.code or type(problem).__name__, **about)
    except Exception:
        log.exception(event, **about)
