"""Where Stripe tells us of its events."""

import structlog
from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from billing.stripe import inbox, jobs
from billing.stripe.client import BadSignature, verify_signature
from core.config import get_settings
from core.db import operator_session
from portal.access import public

MAX_BYTES = 256 * 1024

bp = Blueprint("stripe_webhook", __name__)
# Stripe has no page of ours with a token in it: its signature over the body says who it is.
bp.record_once(lambda state: state.app.extensions["csrf"].exempt(bp))

log = structlog.get_logger(__name__)


@bp.post("/webhooks/stripe")
@public
def receive() -> ResponseReturnValue:
    """Put a signed event into the inbox, once. Stripe is not asked for anything within its own request."""
    secret = get_settings().stripe_webhook_secret
    if not secret:
        abort(404)
    if (request.content_length or 0) > MAX_BYTES:
        abort(413)
    body = request.get_data()
    try:
        verify_signature(body, request.headers.get("Stripe-Signature", ""), secret)
        received = inbox.read(body)
    except (BadSignature, inbox.WrongEvent) as problem:
        log.warning("stripe_webhook_refused", problem=type(problem).__name__)
        return "", 400
    with operator_session("keep an event of Stripe's, whose tenant is not known yet") as session:
        row_id = inbox.receive(session, received)
        if row_id is not None:
            jobs.ring_for_event(session, row_id)
        session.commit()
    return "", 200
