"""The form for a new API key."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, StringField
from wtforms.validators import DataRequired, Length


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
