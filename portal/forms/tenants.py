"""The operator's forms for tenants."""

from flask_wtf import FlaskForm
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, Length


class TenantSearchForm(FlaskForm):
    """A part of a tenant's name; sent as a query."""

    class Meta:
        csrf = False

    q = StringField("Name", [Length(max=120, message="Use at most 120 characters.")])


class SuspendForm(FlaskForm):
    """Why a tenant is suspended."""

    reason = TextAreaField(
        "Reason",
        [DataRequired("Say why."), Length(max=500, message="Use at most 500 characters.")],
        description="For the operator's log. The tenant sees that it is suspended, and not why.",
    )
