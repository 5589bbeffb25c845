"""Forms of somebody's own account."""

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField
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


class AddressForm(FlaskForm):
    """The address that somebody wants, and their password unless they have just signed in."""

    email = EmailField(
        "New e-mail address",
        [DataRequired("Enter an e-mail address.")],
        render_kw={"autocomplete": "email"},
    )
    current = PasswordField("Your password", render_kw={"autocomplete": "current-password"})


class ForgottenForm(FlaskForm):
    """The address of somebody who has forgotten their password."""

    email = EmailField(
        "E-mail", [DataRequired("Enter your e-mail address.")], render_kw={"autocomplete": "username"}
    )


class NewPasswordForm(FlaskForm):
    """The password that somebody wants who came by a link."""

    password = PasswordField(
        "New password", NEW_PASSWORD, description=PASSWORD_HELP, render_kw={"autocomplete": "new-password"}
    )
