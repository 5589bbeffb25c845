"""Every building block on one page, for people who make pages; production does not have it."""

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import BooleanField, FileField, RadioField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired

from core.config import get_settings
from core.models.billing import InvoiceStatus
from core.models.datasets import DatasetStatus
from core.models.fine_tune_jobs import JobStatus
from portal.access import signed_in

bp = Blueprint("styleguide", __name__)


class SampleForm(FlaskForm):
    """One field of every kind."""

    name = StringField("Name", [InputRequired()], description="Your apps call the model by it.")
    email = StringField("E-mail", [InputRequired()])
    base = SelectField("Base model", choices=["all-MiniLM-L6-v2", "SmolLM2-135M-Instruct"])
    note = TextAreaField("Note")
    method = RadioField(
        "Method",
        choices=[SelectChoice("lora", "Low-rank adapters"), SelectChoice("full", "All weights")],
        default="lora",
    )
    agree = BooleanField("Cut the text off where the model stops reading", description="Else it is refused.")
    file = FileField("File", [InputRequired()])


@bp.get("/styleguide")
@signed_in
def show() -> ResponseReturnValue:
    if get_settings().environment == "production":
        abort(404)
    form = SampleForm(meta={"csrf": False})
    form.email.errors = ["Enter an e-mail address, like ada@example.com."]
    return render_template(
        "styleguide.html",
        form=form,
        statuses=[*DatasetStatus, *JobStatus, *InvoiceStatus, "active", "suspended"],
    )
