"""Forms of somebody's own account."""

from flask_wtf import FlaskForm
from wtforms import PasswordField
from wtforms.validators import DataRequired

from portal.forms.auth import NEW_PASSWORD, PASSWORD_HELP


class PasswordForm(FlaskForm):
    """The password that somebody has, and the one that they want."""

    current = PasswordField(
        "Your password",
        [DataRequired("Enter the password that you have.")],
        render_kw={"autocomplete": "current-password"},
    )
    password = PasswordField(
        "New password", NEW_PASSWORD, description=PASSWORD_HELP, render_kw={"autocomplete": "new-password"}
    )
