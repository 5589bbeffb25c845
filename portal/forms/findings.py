"""The form that corrects what was found in an upload; what cannot be said is told where the correction is kept."""

from flask_wtf import FlaskForm
from wtforms import RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired

from core.privacy.entities import ENTITIES

NO_KIND = "none"
IN_FILE, EVERYWHERE = "file", "policy"


class CorrectionForm(FlaskForm):
    """A value, whether and of which kind it is personal data, and where that is so."""

    value = StringField(
        "Value",
        validators=[InputRequired("Give a value.")],
        description="As it stands in a text. It counts in every row, in any case and spacing.",
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    entity = SelectField("It is", validators=[InputRequired("Choose what it is.")])
    where = RadioField(
        "Where",
        choices=[
            SelectChoice(IN_FILE, "In this file"),
            SelectChoice(EVERYWHERE, "In all files and requests, by the privacy policy"),
        ],
        default=IN_FILE,
    )

    def offer(self, *, may_change_policy: bool) -> None:
        """Offer what the person may say: only who may change the policy takes protection away."""
        self.entity.choices = [SelectChoice(entity.name, entity.title) for entity in ENTITIES]
        if may_change_policy:
            self.entity.choices.append(SelectChoice(NO_KIND, "No personal data"))
        else:
            del self.where

    @property
    def kind(self) -> str | None:
        """The kind of personal data; None where the value is none."""
        kind: str = self.entity.data
        return None if kind == NO_KIND else kind

    @property
    def is_everywhere(self) -> bool:
        """Whether the policy is to be changed."""
        return self.where is not None and self.where.data == EVERYWHERE
