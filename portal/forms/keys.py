"""The forms for a new API key, and for one that follows another."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from flask_wtf import FlaskForm
from wtforms import (
    IntegerField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, Length, NumberRange, Optional, ValidationError
from wtforms.widgets import CheckboxInput

from core.api_keys import KeyLimits
from core.clock import now
from core.networks import InvalidNetwork, parse_networks
from core.tenancy import Endpoint

_LARGEST = 10**9
_A_LIMIT = [Optional(), NumberRange(1, _LARGEST, f"Give a whole number from 1 to {_LARGEST:,}, or nothing.")]


class KeyAccess(StrEnum):
    """What a key is good for."""

    PREDICT = "predict"
    MANAGE = "manage"
    BOTH = "both"


_ACCESS = (
    (KeyAccess.PREDICT, "Call models"),
    (KeyAccess.MANAGE, "Upload files, run batches, start fine-tunes and delete models"),
    (KeyAccess.BOTH, "Do all of that"),
)
_ENDPOINTS = (
    (Endpoint.CLASSIFY, "Classify"),
    (Endpoint.TAG, "Tag"),
    (Endpoint.CHAT, "Chat"),
    (Endpoint.EMBEDDINGS, "Embeddings"),
    (Endpoint.ANONYMIZE, "Anonymize"),
)
_LIFETIMES = (
    SelectChoice(0, "Never"),
    SelectChoice(7, "In 7 days"),
    SelectChoice(30, "In 30 days"),
    SelectChoice(90, "In 90 days"),
    SelectChoice(365, "In a year"),
)
_OVERLAPS = (
    SelectChoice(0, "At once"),
    SelectChoice(1, "In 1 hour"),
    SelectChoice(24, "In 1 day"),
    SelectChoice(72, "In 3 days"),
    SelectChoice(168, "In 7 days"),
)


class KeyForm(FlaskForm):
    """What to call the key, and what it may do."""

    name = StringField(
        "Name",
        [DataRequired("Give the key a name."), Length(max=80, message="Use at most 80 characters.")],
        description="What uses it: you will recognise it in usage and in the audit log.",
        filters=[lambda name: " ".join(name.split()) if name else name],
    )
    access = SelectField(
        "May",
        choices=[SelectChoice(access.value, words) for access, words in _ACCESS],
        default=KeyAccess.PREDICT,
        description="Fine-tunes cost money. Apps that only call models need no more than that.",
    )
    lifetime_days = SelectField(
        "Expires",
        coerce=int,
        choices=_LIFETIMES,
        default=0,
        description="Requests with it are refused from then on.",
    )
    networks = TextAreaField(
        "Only from these networks",
        description="One a line, like 203.0.113.0/24. Leave it empty to let requests in from anywhere.",
    )
    models = SelectMultipleField(
        "Only these models",
        option_widget=CheckboxInput(),
        description="Tick none for all of them, also those to come. Other models do not exist for the key.",
    )
    endpoints = SelectMultipleField(
        "Only to",
        option_widget=CheckboxInput(),
        choices=[SelectChoice(endpoint.value, words) for endpoint, words in _ENDPOINTS],
        description="Tick none for all of them.",
    )
    default_model = SelectField(
        "Default chat model",
        default="",
        description="Answers questions that name no model: POST /predict.",
    )
    requests_per_minute = IntegerField("Requests a minute", _A_LIMIT)
    tokens_per_minute = IntegerField("Tokens a minute", _A_LIMIT)

    def offer(self, models: Iterable[str], chat_models: Iterable[str]) -> None:
        """Say which models a key may be limited to, and which may be the default."""
        self.models.choices = [(name, name) for name in models]
        self.default_model.choices = [("", "None"), *((name, name) for name in chat_models)]

    def validate_networks(self, field: TextAreaField) -> None:
        try:
            parse_networks(field.data or "")
        except InvalidNetwork as error:
            raise ValidationError(str(error)) from None

    @property
    def expires_at(self) -> datetime | None:
        days = self.lifetime_days.data
        return now() + timedelta(days=days) if days else None

    @property
    def limits(self) -> KeyLimits:
        return KeyLimits(self.requests_per_minute.data, self.tokens_per_minute.data)


class ReplaceForm(FlaskForm):
    """How long a key goes on that is replaced."""

    overlap_hours = SelectField("The old key stops", coerce=int, choices=_OVERLAPS, default=24)
