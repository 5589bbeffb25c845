"""The form that narrows an audit log down."""

from flask_wtf import FlaskForm
from wtforms import DateField, SelectField, StringField
from wtforms.validators import Length, Optional


class AuditFilterForm(FlaskForm):
    """All of it is optional; sent as a query, so that what was found has an address."""

    class Meta:
        csrf = False

    actor = StringField("Who", [Length(max=254, message="Use at most 254 characters.")])
    action = SelectField("Action", default="")
    since = DateField("From", [Optional()])
    until = DateField("To", [Optional()])
