"""Forms for uploading a dataset and saying what its columns are."""

from dataclasses import dataclass

from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import HiddenField, RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional

from core.catalogue import Task
from training.data.columns import SEPARATORS, ColumnMapping
from training.data.delimited import DELIMITERS
from training.data.encodings import ENCODINGS

NO_SPLIT = NO_LABEL = NO_SEPARATOR = ""
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


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the columns of a task are called, and what stands in them."""

    text: str
    text_help: str
    label: str
    label_help: str


_COLUMNS = {
    Task.CLASSIFICATION: _Columns("Text", "", "Label", ""),
    Task.MULTI_LABEL: _Columns("Text", "", "Labels", "A list of labels, or labels with a sign between them."),
    Task.TAGGING: _Columns(
        "Tokens",
        "A list of words, or words with spaces between.",
        "Tags",
        "A tag for each token: B-TYPE, I-TYPE or O.",
    ),
    Task.CHAT: _Columns(
        "Conversations or questions",
        "A list of messages with role and content, or a question.",
        "Answers",
        "The answer to each question, where they are in a column of their own.",
    ),
}


class ColumnsForm(FlaskForm):
    """What the rows are labeled for, and which columns hold what."""

    task = HiddenField()
    text = SelectField(validators=[InputRequired("Choose a column.")])
    label = SelectField()
    separator = SelectField(
        "Between the labels",
        choices=[
            SelectChoice(NO_SEPARATOR, "Nothing: they are a list"),
            *(
                SelectChoice(sign, f"{title.capitalize()} ({sign})" if sign.strip() else title.capitalize())
                for sign, title in SEPARATORS.items()
            ),
        ],
    )
    split = SelectField(
        "Split",
        description="A column that says train, validation or test. Without one the rows are split for you.",
    )

    def offer(self, task: Task, columns: list[str]) -> None:
        """Ask for what `task` needs, and offer `columns` in every field."""
        words = _COLUMNS[task]
        choices = [SelectChoice(name) for name in columns]
        self.task.data = task.value
        self.text.label.text, self.text.description = words.text, words.text_help
        self.label.label.text, self.label.description = words.label, words.label_help
        self.text.choices = choices
        self.split.choices = [SelectChoice(NO_SPLIT, "None: split 80 / 10 / 10"), *choices]
        if task is Task.CHAT:
            self.label.choices = [SelectChoice(NO_LABEL, "None: whole conversations"), *choices]
        else:
            self.label.choices = choices
            self.label.validators = [InputRequired("Choose a column.")]
        if task is not Task.MULTI_LABEL:
            del self.separator

    def fill(self, mapping: ColumnMapping) -> None:
        """Choose what `mapping` says."""
        self.text.data = mapping.text
        self.label.data = mapping.label or NO_LABEL
        self.split.data = mapping.split or NO_SPLIT
        if self.separator:
            self.separator.data = mapping.separator or NO_SEPARATOR

    @property
    def mapping(self) -> ColumnMapping:
        """What was chosen."""
        return ColumnMapping(
            self.text.data,
            self.label.data or None,
            self.split.data or None,
            Task(self.task.data),
            (self.separator.data or None) if self.separator else None,
        )


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
