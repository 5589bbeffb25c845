"""Forms for uploading a dataset and saying what its columns are."""

from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional

from training.data.delimited import DELIMITERS
from training.data.encodings import ENCODINGS

NO_SPLIT = ""
_ENCODINGS = [SelectChoice(name, title) for name, title in ENCODINGS.items() if name != "utf-8-sig"]


class NewVersionForm(FlaskForm):
    """A file for a dataset that is there already."""

    file = FileField("File", validators=[FileRequired("Choose a file.")])


class NewDatasetForm(NewVersionForm):
    """A file for a new dataset."""

    name = StringField(
        "Name",
        validators=[Optional(), Length(max=120, message="Use at most %(max)d characters.")],
        description="What the texts are. Without one, the dataset is named after its file.",
        render_kw={"autocomplete": "off"},
    )


class ColumnsForm(FlaskForm):
    """Which columns hold what; the view gives the fields their choices."""

    text = SelectField("Text", validators=[InputRequired("Choose the column with the texts.")])
    label = SelectField("Label", validators=[InputRequired("Choose the column with the labels.")])
    split = SelectField(
        "Split",
        description="A column that says train, validation or test. Without one the rows are split for you.",
    )

    def offer(self, columns: list[str]) -> None:
        """Offer `columns` in every field."""
        choices = [SelectChoice(name) for name in columns]
        self.text.choices = choices
        self.label.choices = choices
        self.split.choices = [SelectChoice(NO_SPLIT, "None: split 80 / 10 / 10"), *choices]


class ReadingForm(FlaskForm):
    """How a text file is read, where the guess was wrong."""

    encoding = SelectField("Encoding", choices=_ENCODINGS)
    delimiter = SelectField(
        "Columns are separated by",
        choices=[SelectChoice(sign, title.capitalize()) for sign, title in DELIMITERS.items()],
    )
    header = RadioField(
        "First row",
        choices=[SelectChoice("names", "Column names"), SelectChoice("data", "Data already")],
        default="names",
    )
