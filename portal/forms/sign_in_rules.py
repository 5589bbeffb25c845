"""The form of a tenant's rules for signing in."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectChoice, SelectField, TextAreaField
from wtforms.validators import InputRequired, ValidationError

from core.networks import InvalidNetwork, parse_networks

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
    networks = TextAreaField(
        "Only from these networks",
        description="One a line, like 203.0.113.0/24. Leave it empty to let people in from anywhere. API keys have "
        "networks of their own.",
    )

    def validate_networks(self, field: TextAreaField) -> None:
        try:
            parse_networks(field.data or "")
        except InvalidNetwork as error:
            raise ValidationError(str(error)) from None
