"""Forms for a tenant's members."""

from flask_wtf import FlaskForm
from wtforms import EmailField, SelectChoice, SelectField
from wtforms.validators import DataRequired, InputRequired

from core.tenancy import Role

ROLE_CHOICES = [SelectChoice(role.value, role.capitalize()) for role in Role]


class InviteForm(FlaskForm):
    """Whom to invite, and as what."""

    email = EmailField("E-mail", [DataRequired("Enter the person's e-mail address.")])
    role = SelectField(
        "Role", [InputRequired("Choose a role.")], choices=ROLE_CHOICES, default=Role.DEVELOPER
    )


class RoleForm(FlaskForm):
    """The role that a member is to have."""

    role = SelectField("Role", [InputRequired("Choose a role.")], choices=ROLE_CHOICES)
