"""The playground: one text, one model, and what the API would answer; or a conversation with a chat model."""

from collections.abc import Collection

from flask import Blueprint, get_template_attribute, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from core.catalogue import Task
from core.models.models import Model
from core.models.usage import UsageSource
from core.tenancy import Permission
from inference.gateway.chat import complete_chat, stream_chat
from inference.gateway.metering import Asker
from inference.gateway.predict import classify, tag
from inference.gateway.prediction import (
    InvalidMessages,
    InvalidText,
    ModelNotFound,
    ModelNotReady,
    Prediction,
    PredictionError,
    Tagged,
    Tagging,
    TextTooLong,
    WrongTask,
)
from portal.access import allow
from portal.chat_events import ChatEvents, what_it_took
from portal.chat_setup import system_message
from portal.forms.playground import ChatForm, PlaygroundForm
from portal.highlights import KIND_TITLES, KIND_TONES, Span, cut, tones
from portal.readings import Reading, read, wrote
from portal.session import db, scope
from portal.snippets import curl_call

bp = Blueprint("playground", __name__, url_prefix="/playground")

_SHOWN_LABELS = 10
_OF_TEXTS = frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL, Task.TAGGING})
_OF_CHATS = frozenset({Task.CHAT})


@bp.route("", methods=["GET", "POST"])
@allow(Permission.PREDICT)
def index() -> ResponseReturnValue:
    """A text and its answer. Whoever asks for a chat model, or has no other, is led to the page for those."""
    models, chats = _ready_models(_OF_TEXTS), _ready_models(_OF_CHATS)
    asked = request.args.get("model")
    if asked in [model.name for model in chats] or (chats and not models):
        return redirect(url_for(".chat", model=asked or chats[0].name), code=303)
    form = PlaygroundForm(model=asked)
    form.model.choices = [model.name for model in models]
    answer: Prediction | Tagging | None = None
    problem: str | None = None
    if models and form.validate_on_submit():
        try:
            answer = _answer(form, next(model for model in models if model.name == form.model.data))
        except PredictionError as error:
            problem = _show(form, error)
    # htmx asks for the answer alone; without it the whole page comes, with the same answer in it.
    template = "playground/_answer.html" if "HX-Request" in request.headers else "playground/index.html"
    page = render_template(
        template,
        form=form,
        models=models,
        chats=chats,
        answer=answer,
        problem=problem,
        shown_labels=_SHOWN_LABELS,
        **(_of_answer(form, answer) if answer else {}),
    )
    refused = form.is_submitted() and answer is None
    # htmx leaves an answer of 4xx aside, and errors belong on the page.
    return page, 422 if refused and template == "playground/index.html" else 200


def _answer(form: PlaygroundForm, model: Model) -> Prediction | Tagging:
    ask = tag if model.task is Task.TAGGING else classify
    return ask(
        Asker(scope(), UsageSource.PLAYGROUND), model.name, [form.text.data], truncate=form.truncate.data
    )


def _of_answer(form: PlaygroundForm, answer: Prediction | Tagging) -> dict[str, object]:
    """What the page shows besides the answer itself."""
    result = answer.results[0]
    shown: dict[str, object] = {
        "wrote": wrote(form.text.data, result.replacements),
        "read": read(result.text, result.replacements),
        "kind_tones": KIND_TONES,
        "kind_titles": KIND_TITLES,
        "curl": curl_call(form.model.data, form.text.data, answer.task or Task.CLASSIFICATION),
    }
    if isinstance(result, Tagged):
        spans = [Span(entity.start, entity.end, entity.label) for entity in result.entities]
        shown |= {
            "entities": cut(form.text.data, spans),
            "tones": tones(entity.label for entity in result.entities),
        }
    return shown


@bp.route("/chat", methods=["GET", "POST"])
@allow(Permission.PREDICT)
def chat() -> ResponseReturnValue:
    """A conversation, which the page itself carries along."""
    models = _ready_models(_OF_CHATS)
    form = _chat_form(models)
    took: str | None = None
    problem: str | None = None
    shown: dict[str, object] = {}
    if models and form.validate_on_submit():
        messages = form.messages
        try:
            answer = complete_chat(
                Asker(scope(), UsageSource.PLAYGROUND), form.model.data, messages, form.sampling
            )
        except PredictionError as error:
            problem = _show(form, error)
        else:
            form.go_on(answer.text)
            took = what_it_took(answer)
            reading = Reading(messages, answer.reading)
            shown = {**_of_reading(reading), "answer": reading.answer(answer.text)}
    page = render_template(
        "playground/chat.html",
        form=form,
        models=models,
        texts=_ready_models(_OF_TEXTS),
        took=took,
        problem=problem,
        **shown,
    )
    return page, 422 if form.is_submitted() and took is None else 200


@bp.route("/chat/stream", methods=["POST"])
@allow(Permission.PREDICT)
def stream() -> ResponseReturnValue:
    """The same answer as events, for static/js/chat.js; where there is none, the conversation with the reason."""
    form = _chat_form(_ready_models(_OF_CHATS))
    problem: str | None = None
    if form.validate_on_submit():
        messages = form.messages
        try:
            answer = stream_chat(
                Asker(scope(), UsageSource.PLAYGROUND), form.model.data, messages, form.sampling
            )
        except PredictionError as error:
            problem = _show(form, error)
        else:
            form.go_on("")
            reading = Reading(messages, answer.reading)
            shown = _of_reading(reading)
            part = render_template("playground/_conversation.html", form=form, is_answering=True, **shown)
            marked = get_template_attribute("macros/tasks.html", "marked")
            return ChatEvents(
                answer, part, lambda text: marked(reading.answer(text), KIND_TONES, KIND_TITLES)
            ).response()
    return render_template("playground/_conversation.html", form=form, problem=problem), 422


def _of_reading(reading: Reading) -> dict[str, object]:
    """What the page shows of a conversation that a model has read."""
    return {"reading": reading, "kind_tones": KIND_TONES, "kind_titles": KIND_TITLES}


def _chat_form(models: Collection[Model]) -> ChatForm:
    model = next((model for model in models if model.name == request.args.get("model")), None)
    form = ChatForm(model=model and model.name, system=_system_message(model) if model else "")
    form.model.choices = [model.name for model in models]
    return form


def _system_message(model: Model) -> str:
    """What the model's data told it to be, for whoever may read that."""
    return system_message(db(), model) if scope().allows(Permission.DATASETS_READ) else ""


def _ready_models(tasks: Collection[Task]) -> list[Model]:
    query = select(Model).where(
        Model.current_adapter_id.is_not(None), Model.deleted_at.is_(None), Model.task.in_(tasks)
    )
    return list(db().scalars(query.order_by(Model.name)))


def _show(form: PlaygroundForm | ChatForm, error: PredictionError) -> str | None:
    """Put the error beside its field, or return it if it is about none."""
    match error:
        case InvalidText() | TextTooLong() | InvalidMessages():
            form.text.errors = [*form.text.errors, str(error)]
        case ModelNotFound() | ModelNotReady() | WrongTask():
            form.model.errors = [*form.model.errors, str(error)]
        case _:
            return str(error)
    return None
