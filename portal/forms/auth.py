"""Forms for signing up, in, and accepting an invite."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, HiddenField, PasswordField, StringField
from wtforms.validators import DataRequired, InputRequired, Length

from core.passwords import MAXIMUM_LENGTH, MINIMUM_LENGTH

NEW_PASSWORD = [
    DataRequired("Choose a password."),
    Length(MINIMUM_LENGTH, MAXIMUM_LENGTH, f"Use {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters."),
]
_NAME = [DataRequired("Enter your name."), Length(max=120, message="Use at most 120 characters.")]
PASSWORD_HELP = f"At least {MINIMUM_LENGTH} characters."


class SignUpForm(FlaskForm):
    tenant_name = StringField(
        "Company",
        [DataRequired("Enter your company's name."), Length(max=120, message="Use at most 120 characters.")],
    )
    name = StringField("Your name", _NAME, render_kw={"autocomplete": "name"})
    email = EmailField(
        "E-mail", [DataRequired("Enter your e-mail address.")], render_kw={"autocomplete": "email"}
    )
    password = PasswordField(
        "Password", NEW_PASSWORD, description=PASSWORD_HELP, render_kw={"autocomplete": "new-password"}
    )
    terms = BooleanField(
        "I accept the terms of service", [InputRequired("Accept the terms of service to go on.")]
    )


class LoginForm(FlaskForm):
    email = EmailField(
        "E-mail", [DataRequired("Enter your e-mail address.")], render_kw={"autocomplete": "username"}
    )
    password = PasswordField(
        "Password", [DataRequired("Enter your password.")], render_kw={"autocomplete": "current-password"}
    )
    next = HiddenField()


class AcceptInviteForm(FlaskForm):
    name = StringField("Your name", _NAME, render_kw={"autocomplete": "name"})
    password = PasswordField(
        "Password", NEW_PASSWORD, description=PASSWORD_HELP, render_kw={"autocomplete": "new-password"}
    )
    terms = BooleanField(
        "I accept the terms of service", [InputRequired("Accept the terms of service to go on.")]
    )
