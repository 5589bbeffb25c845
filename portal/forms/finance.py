"""Forms of the operator's finance pages."""

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from billing.corrections import REASON_LENGTH as CORRECTION_LENGTH
from billing.stripe.review import REASON_LENGTH as REVIEW_LENGTH


class RequestSearchForm(FlaskForm):
    """The id of a request, or of a fine-tune; sent as a query."""

    class Meta:
        csrf = False

    q = StringField("Request id", [Length(max=64, message="Use at most 64 characters.")])


class ReverseForm(FlaskForm):
    """Why a usage fact is taken back."""

    reason = StringField(
        "Reason",
        [
            DataRequired("Say why the usage is taken back."),
            Length(max=CORRECTION_LENGTH, message=f"Use at most {CORRECTION_LENGTH} characters."),
        ],
        description="It stays with the correction, and in both logs: the tenant sees it.",
    )


class AcceptForm(FlaskForm):
    """Why what a held invoice differs by is right."""

    reason = StringField(
        "Reason",
        [
            DataRequired("Say why the difference is right."),
            Length(max=REVIEW_LENGTH, message=f"Use at most {REVIEW_LENGTH} characters."),
        ],
        description="It stands on the item that makes up the difference, and in the money log.",
    )
