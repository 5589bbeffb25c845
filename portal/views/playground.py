"""The playground: one text, one model, and what the API would answer."""

from dataclasses import dataclass

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from core.models.models import Model
from core.models.usage import UsageSource
from core.tenancy import Permission
from inference.gateway.metering import Asker
from inference.gateway.predict import classify
from inference.gateway.prediction import (
    InvalidText,
    ModelNotFound,
    ModelNotReady,
    Prediction,
    PredictionError,
    Result,
    TextTooLong,
)
from portal.access import allow
from portal.forms.playground import PlaygroundForm
from portal.session import db, scope
from portal.snippets import curl_call

bp = Blueprint("playground", __name__, url_prefix="/playground")

_SHOWN_LABELS = 10


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text as it came; `entity` says what kind of personal data it is, if it was
    replaced."""

    text: str
    entity: str | None


@bp.route("", methods=["GET", "POST"])
@allow(Permission.PREDICT)
def index() -> ResponseReturnValue:
    models = _ready_models()
    form = PlaygroundForm(model=request.args.get("model"))
    form.model.choices = [(model.name, model.name) for model in models]
    prediction: Prediction | None = None
    problem: str | None = None
    if models and form.validate_on_submit():
        try:
            prediction = classify(
                Asker(scope(), UsageSource.PLAYGROUND),
                form.model.data,
                [form.text.data],
                truncate=form.truncate.data,
            )
        except PredictionError as error:
            problem = _show(form, error)
    # htmx asks for the answer alone; without it the whole page comes, with the same answer in it.
    template = "playground/_answer.html" if "HX-Request" in request.headers else "playground/index.html"
    page = render_template(
        template,
        form=form,
        models=models,
        prediction=prediction,
        problem=problem,
        shown_labels=_SHOWN_LABELS,
        pieces=pieces(form.text.data, prediction.results[0]) if prediction else [],
        curl=curl_call(form.model.data, form.text.data) if prediction else "",
    )
    refused = form.is_submitted() and prediction is None
    # htmx leaves an answer of 4xx aside, and errors belong on the page.
    return page, 422 if refused and template == "playground/index.html" else 200


def pieces(text: str, result: Result) -> list[Piece]:
    """The text, cut at what was replaced."""
    found: list[Piece] = []
    at = 0
    for replacement in sorted(result.replacements, key=lambda replacement: replacement.start):
        if at < replacement.start:
            found.append(Piece(text[at : replacement.start], None))
        found.append(Piece(text[replacement.start : replacement.end], replacement.entity))
        at = replacement.end
    if at < len(text):
        found.append(Piece(text[at:], None))
    return found


def _ready_models() -> list[Model]:
    query = select(Model).where(Model.current_adapter_id.is_not(None)).order_by(Model.name)
    return list(db().scalars(query))


def _show(form: PlaygroundForm, error: PredictionError) -> str | None:
    """Put the error beside its field, or return it if it is about none."""
    match error:
        case InvalidText() | TextTooLong():
            form.text.errors = [*form.text.errors, str(error)]
        case ModelNotFound() | ModelNotReady():
            form.model.errors = [*form.model.errors, str(error)]
        case _:
            return str(error)
    return None
