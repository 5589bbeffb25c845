"""The form for a tenant's privacy policy; what it may not say is checked where the policy is made."""

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    SelectChoice,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.widgets import CheckboxInput, ListWidget

from core.privacy.entities import CHOOSABLE


class EntitiesField(SelectMultipleField):
    """Kinds of personal data, each with a box to tick."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class PolicyForm(FlaskForm):
    """A tenant's next policy."""

    enabled = BooleanField(
        "Find and replace personal data", description="Off means that texts are stored and read as they come."
    )
    reason = StringField(
        "Reason", description="Needed to switch it off, and kept with this version of the policy."
    )
    entities = EntitiesField(
        "What to replace", choices=[SelectChoice(entity.name, entity.title) for entity in CHOOSABLE]
    )
    allow_list = TextAreaField(
        "Never replace",
        description="One a line: names of products, your own company, your support address.",
    )
