"""The form for a tenant's privacy policy."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    SelectChoice,
    SelectMultipleField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import Length
from wtforms.widgets import CheckboxInput, ListWidget

from core.privacy.entities import ENTITIES

MAXIMUM_ALLOWED = 500
_LONGEST_ALLOWED = 200


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
        "Reason",
        [Length(max=500, message="Use at most 500 characters.")],
        description="Needed to switch it off, and kept with this version of the policy.",
    )
    entities = EntitiesField(
        "What to replace", choices=[SelectChoice(entity.name, entity.title) for entity in ENTITIES]
    )
    allow_list = TextAreaField(
        "Never replace",
        description="One a line: names of products, your own company, your support address.",
    )

    @property
    def allowed(self) -> list[str]:
        """The lines of the allow-list, without blanks and repetitions."""
        lines = (" ".join(line.split()) for line in (self.allow_list.data or "").splitlines())
        return list(dict.fromkeys(line for line in lines if line))

    def validate_reason(self, field: Any) -> None:
        if not self.enabled.data and not (field.data or "").strip():
            raise ValidationError("Say why personal data is to be left in.")

    def validate_entities(self, field: Any) -> None:
        if self.enabled.data and not field.data:
            raise ValidationError("Choose at least one, or switch the policy off.")

    def validate_allow_list(self, _field: Any) -> None:
        if len(self.allowed) > MAXIMUM_ALLOWED:
            raise ValidationError(f"Use at most {MAXIMUM_ALLOWED} lines.")
        if any(len(line) > _LONGEST_ALLOWED for line in self.allowed):
            raise ValidationError(f"Use at most {_LONGEST_ALLOWED} characters a line.")
