"""The forms of the payment page."""

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired, Regexp


class PromotionForm(FlaskForm):
    """A promotion code."""

    code = StringField(
        "Promotion code",
        [
            DataRequired("Give the code."),
            Regexp(r"[A-Za-z0-9-]{1,50}\Z", message="A code has letters, digits and dashes only."),
        ],
        filters=[lambda text: (text or "").strip()],
        description="It counts from the next invoice on, instead of any before it.",
    )
