"""The form of a tenant's rules for signing in."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectChoice, SelectField
from wtforms.validators import InputRequired

_HOURS = ((1, "1 hour"), (8, "8 hours"), (24, "1 day"), (72, "3 days"), (168, "7 days"))


class SignInRulesForm(FlaskForm):
    """What an admin demands of the tenant's people."""

    session_hours = SelectField(
        "Sign in again after",
        [InputRequired("Choose how long a session lasts.")],
        coerce=int,
        choices=[SelectChoice(hours, words) for hours, words in _HOURS],
        description="Since the sign-in, whatever happens in between. It counts for open sessions, too.",
    )
    requires_second_factor = BooleanField(
        "Everybody needs a second factor",
        description="Those who have none are asked to set one up before they do anything else.",
    )
