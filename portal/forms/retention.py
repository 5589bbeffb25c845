"""The form of how long a tenant's data is kept."""

from flask_wtf import FlaskForm
from wtforms import SelectChoice, SelectField
from wtforms.validators import InputRequired

_FOREVER = 0
_DAYS = (
    (_FOREVER, "Until somebody deletes it"),
    (7, "7 days"),
    (30, "30 days"),
    (90, "90 days"),
    (180, "180 days"),
    (365, "1 year"),
    (730, "2 years"),
)


class RetentionForm(FlaskForm):
    """After how many days each kind of data is deleted by itself."""

    dataset_days = SelectField(
        "Datasets",
        [InputRequired("Choose how long.")],
        coerce=int,
        choices=[SelectChoice(days, words) for days, words in _DAYS],
        description="Since they were ready. Models stay; the rows that they learned from go.",
    )
    file_days = SelectField(
        "Files of the API",
        [InputRequired("Choose how long.")],
        coerce=int,
        choices=[SelectChoice(days, words) for days, words in _DAYS],
        description="What your apps sent, and the answers that batches left for them.",
    )
    checkpoint_days = SelectField(
        "Checkpoints",
        [InputRequired("Choose how long.")],
        coerce=int,
        choices=[SelectChoice(days, words) for days, words in _DAYS],
        description="Of cancelled fine-tunes, since they ended. Others' go when they end.",
    )

    @property
    def days(self) -> dict[str, int | None]:
        """What was chosen, by field; None is without end."""
        fields = (self.dataset_days, self.file_days, self.checkpoint_days)
        return {field.name: field.data or None for field in fields}
