"""The form that deletes a tenant."""

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired


class DeletionForm(FlaskForm):
    """The tenant's name, typed, so that nobody deletes one by a slip."""

    name = StringField("The tenant's name", [DataRequired("Type the tenant's name.")])
