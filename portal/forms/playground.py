"""The playground's form."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from inference.gateway.prediction import MAXIMUM_TEXT_BYTES


class PlaygroundForm(FlaskForm):
    """One text for one of the tenant's models; the view gives `model` its choices."""

    model = SelectField("Model", validators=[InputRequired("Choose a model.")])
    text = TextAreaField(
        "Text",
        validators=[
            DataRequired("Enter a text."),
            Length(max=MAXIMUM_TEXT_BYTES, message="The text is too long. Shorten it to %(max)d characters."),
        ],
    )
    truncate = BooleanField("Cut the text off where the model stops reading")
