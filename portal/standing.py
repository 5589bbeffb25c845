"""The signed-in tenant's standing, for the banner on every page."""

from flask import Flask
from flask_login import current_user

from billing.standing import Standing, standing_of
from portal.session import db


def standing() -> Standing | None:
    """How the tenant stands; None for staff, and where no payment is missing."""
    if not current_user.is_authenticated or current_user.is_staff:
        return None
    tenant = current_user.tenant
    if tenant.past_due_since is None and tenant.payment_suspended_at is None:
        return None
    return standing_of(db(), tenant)


def init_app(app: Flask) -> None:
    """Give templates `standing`."""
    app.context_processor(lambda: {"standing": standing})
