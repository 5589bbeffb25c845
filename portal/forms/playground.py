"""The playground's forms."""

import json
from collections.abc import Sequence

from flask_wtf import FlaskForm
from wtforms import BooleanField, FloatField, HiddenField, IntegerField, SelectField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError

from inference.gateway.chat import MAXIMUM_BYTES, MAXIMUM_MESSAGES, Message, Sampling
from inference.gateway.prediction import MAXIMUM_TEXT_BYTES

_TOO_LONG = "The text is too long. Shorten it to %(max)d characters."
_ROLES = ("user", "assistant")


class PlaygroundForm(FlaskForm):
    """One text for one of the tenant's models; the view gives `model` its choices."""

    model = SelectField("Model", validators=[InputRequired("Choose a model.")])
    text = TextAreaField(
        "Text", validators=[DataRequired("Enter a text."), Length(max=MAXIMUM_TEXT_BYTES, message=_TOO_LONG)]
    )
    truncate = BooleanField("Cut the text off where the model stops reading")


class ChatForm(FlaskForm):
    """The next message of a conversation with one of the tenant's models; `said` holds what was said before it."""

    model = SelectField("Model", validators=[InputRequired("Choose a model.")])
    system = TextAreaField(
        "System message",
        validators=[Optional(), Length(max=MAXIMUM_TEXT_BYTES, message=_TOO_LONG)],
        description="What the model is told to be. It answers best when told the same as in its data.",
    )
    said = HiddenField(validators=[Length(max=MAXIMUM_BYTES * 6)])
    text = TextAreaField(
        "Message",
        validators=[DataRequired("Write a message."), Length(max=MAXIMUM_TEXT_BYTES, message=_TOO_LONG)],
    )
    temperature = FloatField(
        "Temperature",
        default=0.0,
        validators=[
            InputRequired("Enter a number from 0 to 2."),
            NumberRange(0, 2, "Enter a number from %(min)s to %(max)s."),
        ],
        description="0 always takes the likeliest word.",
    )
    max_tokens = IntegerField(
        "Longest answer",
        default=256,
        validators=[
            InputRequired("Enter a number of tokens."),
            NumberRange(1, 2048, "Enter a number from %(min)s to %(max)s."),
        ],
        description="In tokens.",
    )

    def validate_said(self, field: HiddenField) -> None:
        """WTForms calls it for the field `said`."""
        try:
            self._said(field.data)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ValidationError("The conversation was not understood. Start a new one.") from None

    @staticmethod
    def _said(written: str | None) -> list[Message]:
        """What was said before. Raises ValueError, TypeError or KeyError where it cannot be read."""
        found = [Message(one["role"], one["content"]) for one in json.loads(written or "[]")]
        if len(found) > MAXIMUM_MESSAGES or any(
            one.role not in _ROLES or not isinstance(one.content, str) for one in found
        ):
            raise ValueError("no conversation")
        return found

    @property
    def conversation(self) -> Sequence[Message]:
        """What was said so far; nothing where that cannot be read."""
        return [] if self.said.errors else self._said(self.said.data)

    @property
    def messages(self) -> Sequence[Message]:
        """What the model is to answer. Of a form that is valid."""
        system = [Message("system", self.system.data)] if self.system.data else []
        return [*system, *self.conversation, Message("user", self.text.data)]

    @property
    def sampling(self) -> Sampling:
        return Sampling(max_tokens=self.max_tokens.data, temperature=self.temperature.data)

    def go_on(self, answer: str) -> None:
        """Take the message and its answer into what was said, and make room for the next message."""
        said = [*self.conversation, Message("user", self.text.data), Message("assistant", answer)]
        self.said.data = json.dumps(
            [{"role": one.role, "content": one.content} for one in said], ensure_ascii=False
        )
        self.text.data = ""
