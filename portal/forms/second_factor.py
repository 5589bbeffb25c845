"""The forms of the second factor: codes and passkeys."""

from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import DataRequired, Length


class CodeForm(FlaskForm):
    """A code from an authenticator app or, where one is taken, a recovery code."""

    code = StringField(
        "Code",
        [DataRequired("Enter the code."), Length(max=20, message="A code is shorter.")],
        render_kw={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"},
    )


class SetUpForm(CodeForm):
    """The first code of an app, and the person's password unless they have just signed in."""

    current = PasswordField("Your password", render_kw={"autocomplete": "current-password"})


class CredentialForm(FlaskForm):
    """What a passkey has signed, as JSON, which static/js/passkeys.js puts in; and where to go then."""

    credential = HiddenField(validators=[DataRequired(), Length(max=32_768)])
    next = HiddenField()


class PasskeyForm(FlaskForm):
    """A new passkey's name, and the person's password unless they have just signed in."""

    name = StringField(
        "Name",
        [DataRequired("Give it a name."), Length(max=80, message="Use at most 80 characters.")],
        description="What it is on, so that you know it again: “Work laptop”.",
        filters=[lambda name: " ".join(name.split()) if name else name],
    )
    current = PasswordField("Your password", render_kw={"autocomplete": "current-password"})
    credential = HiddenField(validators=[Length(max=32_768)])


class ConfirmForm(FlaskForm):
    """The person's password, unless they have just signed in."""

    current = PasswordField("Your password", render_kw={"autocomplete": "current-password"})
