"""The form for a code of the second factor."""

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired, Length


class CodeForm(FlaskForm):
    """A code from an authenticator app or, where one is taken, a recovery code."""

    code = StringField(
        "Code",
        [DataRequired("Enter the code."), Length(max=20, message="A code is shorter.")],
        render_kw={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"},
    )
