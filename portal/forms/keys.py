"""The form for a new API key."""

from collections.abc import Iterable

from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, SelectField, StringField
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from core.api_keys import KeyLimits

_LARGEST = 10**9
_A_LIMIT = [Optional(), NumberRange(1, _LARGEST, f"Give a whole number from 1 to {_LARGEST:,}, or nothing.")]


class KeyForm(FlaskForm):
    """What to call the key, and what it may do."""

    name = StringField(
        "Name",
        [DataRequired("Give the key a name."), Length(max=80, message="Use at most 80 characters.")],
        description="What uses it: you will recognise it in usage and in the audit log.",
        filters=[lambda name: " ".join(name.split()) if name else name],
    )
    may_manage = BooleanField(
        "May also upload files, run batches, start fine-tunes and delete models",
        description="Fine-tunes cost money. Leave it off for apps that only call models.",
    )
    default_model = SelectField(
        "Default chat model",
        default="",
        description="Answers questions that name no model: POST /predict.",
    )
    requests_per_minute = IntegerField("Requests a minute", _A_LIMIT)
    tokens_per_minute = IntegerField("Tokens a minute", _A_LIMIT)

    def offer(self, chat_models: Iterable[str]) -> None:
        """Say which models may be the default."""
        self.default_model.choices = [("", "None"), *((name, name) for name in chat_models)]

    @property
    def limits(self) -> KeyLimits:
        return KeyLimits(self.requests_per_minute.data, self.tokens_per_minute.data)
