"""Fine-tunes: choose, see what it takes, launch, watch, and read what came out."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from werkzeug.datastructures import MultiDict

from billing.quotes import quote
from core.models.billing import PriceKind
from core.models.datasets import Dataset, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob
from core.models.models import Adapter, Model
from core.tenancy import Permission
from portal import fine_tunes
from portal.access import allow
from portal.curves import LOSS, QUALITY, chart
from portal.forms import errors
from portal.forms.fine_tunes import FineTuneForm
from portal.session import db, get_or_404, scope
from training import estimates, jobs
from training.errors import JobError
from training.recipe.settings import FineTuneSettings, SettingsError

bp = Blueprint("fine_tunes", __name__, url_prefix="/fine-tunes")

_LAST_PAGE = 10_000


@dataclass(frozen=True)
class Choice:
    """What a valid form asks for."""

    dataset: Dataset
    version: DatasetVersion
    settings: FineTuneSettings


@bp.get("")
@allow(Permission.JOBS_READ)
def index() -> ResponseReturnValue:
    """A page of the list, or for its own polling the part of it that changes."""
    page = min(max(request.args.get("page", 1, type=int), 1), _LAST_PAGE)
    found = fine_tunes.list_jobs(db(), page)
    return render_template(
        "fine_tunes/_list.html" if _is_part() else "fine_tunes/index.html",
        jobs=found[: fine_tunes.PAGE],
        page=page,
        first=(page - 1) * fine_tunes.PAGE + 1,
        newer=url_for(".index", page=page - 1) if page > 1 else None,
        older=url_for(".index", page=page + 1) if len(found) > fine_tunes.PAGE else None,
    )


@bp.get("/new")
@allow(Permission.JOBS_WRITE)
def new() -> ResponseReturnValue:
    """The form, or when another dataset is chosen in it the part that depends on that one."""
    return _form_page(_form(request.args))


@bp.get("/review")
@allow(Permission.JOBS_WRITE)
def review() -> ResponseReturnValue:
    """What was chosen, with what it will take; for its own polling the estimate alone."""
    form = _form(request.args)
    choice = _read(form)
    if choice is None:
        return _form_page(form), 422
    estimates.request(db(), scope(), choice.version, choice.settings)
    estimate = estimates.find(scope(), choice.version, choice.settings)
    tokens = estimate.training_tokens if estimate and not estimate.error else None
    return render_template(
        "fine_tunes/_estimate.html" if _is_part() else "fine_tunes/review.html",
        choice=choice,
        form=form,
        number=_next_number(form.model_name.data),
        estimate=estimate,
        quote=None if tokens is None else quote(db(), scope().tenant_id, PriceKind.TRAINING, tokens),
    )


@bp.post("")
@allow(Permission.JOBS_WRITE)
def launch() -> ResponseReturnValue:
    form = _form(request.form)
    choice = _read(form)
    if choice is None:
        return _form_page(form), 422
    try:
        job = jobs.launch(
            db(),
            scope(),
            version=choice.version,
            model_name=form.model_name.data,
            settings=choice.settings,
            seed=form.seed.data,
            estimate=estimates.find(scope(), choice.version, choice.settings),
        )
    except JobError as error:
        db().rollback()
        errors.show(form, error)
        return _form_page(form), 422
    db().commit()
    return _to(job)


@bp.get("/<uuid:job_id>")
@allow(Permission.JOBS_READ)
def show(job_id: UUID) -> ResponseReturnValue:
    """A job's page, or for its own polling all of it but the frame."""
    job = get_or_404(FineTuneJob, job_id)
    details = fine_tunes.details(db(), job)
    curves = fine_tunes.curves(db(), job)
    return render_template(
        "fine_tunes/_job.html" if _is_part() else "fine_tunes/show.html",
        job=job,
        details=details,
        texts=fine_tunes.suspect_texts(db(), details) if scope().allows(Permission.DATASETS_READ) else {},
        loss=chart(curves, LOSS),
        quality=chart(curves, QUALITY),
        log=fine_tunes.log_lines(db(), job),
        again=_again(job),
    )


@bp.post("/<uuid:job_id>/cancel")
@allow(Permission.JOBS_WRITE)
def cancel(job_id: UUID) -> ResponseReturnValue:
    job = get_or_404(FineTuneJob, job_id)
    try:
        jobs.cancel(db(), scope(), job)
    except JobError as error:
        db().rollback()
        flash(str(error), "error")
    else:
        db().commit()
    return _to(job)


def _is_part() -> bool:
    return "HX-Request" in request.headers


def _form(given: "MultiDict[str, str]") -> FineTuneForm:
    form = FineTuneForm(formdata=given)
    form.offer(fine_tunes.ready_versions(db()))
    return form


def _read(form: FineTuneForm) -> Choice | None:
    """What the form asks for; None, with the errors beside their fields, where it is not to be had."""
    if not form.validate():
        return None
    try:
        settings = form.settings
    except SettingsError as error:
        errors.show(form, error)
        return None
    version = get_or_404(DatasetVersion, form.version_id)
    return Choice(db().get_one(Dataset, version.dataset_id), version, settings)


def _form_page(form: FineTuneForm) -> str:
    names = db().scalars(select(Model.name).where(Model.deleted_at.is_(None)).order_by(Model.name)).all()
    return render_template(
        "fine_tunes/_new.html" if _is_part() else "fine_tunes/new.html", form=form, model_names=names
    )


def _next_number(model_name: str) -> int:
    """The number that the next version of a model will have, as things stand."""
    newest = db().scalar(
        select(func.max(Adapter.version))
        .join(Model, Model.id == Adapter.model_id)
        .where(Model.name == model_name)
    )
    return (newest or 0) + 1


def _again(job: FineTuneJob) -> dict[str, Any]:
    """The form's arguments for a job like this one."""
    chosen = {name: value for name, value in job.settings.items() if value is not None}
    epsilon = chosen.pop("epsilon", None)
    return {"version": job.dataset_version_id, **chosen, **FineTuneForm.privacy_arguments(epsilon)}


def _to(job: FineTuneJob) -> ResponseReturnValue:
    return redirect(url_for(".show", job_id=job.id), code=303)
