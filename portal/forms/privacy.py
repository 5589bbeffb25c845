"""The form for a privacy policy; what it may not say is checked where the policy is made."""

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    Form,
    FormField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.widgets import CheckboxInput, ListWidget

from core.privacy.entities import CHOOSABLE, ENTITIES
from core.privacy.types import Operator

_OPERATORS = {
    Operator.PSEUDONYM: "A pseudonym: [{entity}_1]",
    Operator.SURROGATE: "A realistic value",
    Operator.MASK: "A mask: J*** S***",
    Operator.HASH: "A keyed hash",
    Operator.DROP: "Nothing but a mark: …",
}


def _choices(entity: str) -> list[SelectChoice]:
    return [
        SelectChoice(operator.value, title.format(entity=entity)) for operator, title in _OPERATORS.items()
    ]


class EntitiesField(SelectMultipleField):
    """Kinds of personal data, each with a box to tick."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class _OperatorsForm(Form):
    """How each kind is replaced: a field for each entity, by its name."""


for _entity in ENTITIES:
    setattr(
        _OperatorsForm,
        _entity.name,
        SelectField(
            f"Replace by: {_entity.title}",
            choices=_choices(_entity.name),
            default=Operator.PSEUDONYM.value,
        ),
    )


class PolicyForm(FlaskForm):
    """The next version of a policy."""

    enabled = BooleanField(
        "Find and replace personal data", description="Off means that texts are stored and read as they come."
    )
    reason = StringField(
        "Reason", description="Needed to switch it off, and kept with this version of the policy."
    )
    entities = EntitiesField(
        "What to replace, and by what",
        choices=[SelectChoice(entity.name, entity.title) for entity in CHOOSABLE],
    )
    operators = FormField(_OperatorsForm)
    deny_list = TextAreaField(
        "Always replace",
        description="One a line: names of projects, customers, codes. Found wherever they stand, in any case.",
    )
    allow_list = TextAreaField(
        "Never replace",
        description="One a line: names of products, your own company, your support address.",
    )
