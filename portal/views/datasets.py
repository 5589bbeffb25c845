"""Datasets: upload, columns, check, review, and what became of them."""

import re
from collections.abc import Callable
from itertools import chain, islice
from pathlib import PurePath
from uuid import UUID

import structlog
from flask import Blueprint, Flask, Response, abort, flash, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from core.catalogue import Task
from core.config import get_settings
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.models.users import User
from core.privacy.policies import current_policy
from core.storage import BlobCorrupt, BlobNotFound, blob_store, tenant_key
from core.tenancy import Permission
from portal.access import allow
from portal.filters import filesize
from portal.forms.datasets import ColumnsForm, NewDatasetForm, NewVersionForm, ReadingForm
from portal.highlights import KIND_TONES, cut_tokens, tones
from portal.session import db, get_or_404, scope
from portal.uploads import EncryptedUpload, UploadRequest
from training.data import datasets
from training.data.columns import ColumnMapping
from training.data.corrections import is_outdated
from training.data.datasets import DatasetError
from training.data.delimited import DELIMITERS
from training.data.errors import DataError
from training.data.export import rows_csv
from training.data.files import FORMAT_TITLES, DataFormat
from training.data.personal import for_display
from training.data.readers import Reading
from training.data.rows import StoredRow
from training.data.sources import Source, open_source, source_of

log = structlog.get_logger(__name__)

bp = Blueprint("datasets", __name__, url_prefix="/datasets")

SAMPLE_ROWS = 10
_WORKING = {DatasetStatus.CHECKING, DatasetStatus.IMPORTING}


@bp.record_once
def _encrypt_uploads(state: BlueprintSetupState) -> None:
    assert isinstance(state.app, Flask)
    state.app.request_class = UploadRequest


@bp.errorhandler(413)
def too_large(_error: Exception) -> ResponseReturnValue:
    limit = filesize(get_settings().max_upload_bytes)
    message = f"The file is larger than {limit}, the most that is taken. Split it, or upload it as Parquet."
    return render_template("errors/error.html", code=413, title="Too large", message=message), 413


@bp.get("")
@allow(Permission.DATASETS_READ)
def index() -> ResponseReturnValue:
    versions = db().scalars(
        select(DatasetVersion)
        .ext(distinct_on(DatasetVersion.dataset_id))
        .order_by(DatasetVersion.dataset_id, DatasetVersion.number.desc())
    )
    latest = {version.dataset_id: version for version in versions}
    found = db().scalars(select(Dataset).order_by(Dataset.created_at.desc())).all()
    key = tenant_key(db(), scope().tenant_id)
    filenames = {version.id: open_source(key, version).filename for version in latest.values()}
    return render_template("datasets/index.html", datasets=found, latest=latest, filenames=filenames)


@bp.route("/new", methods=["GET", "POST"])
@allow(Permission.DATASETS_WRITE)
def new() -> ResponseReturnValue:
    form = NewDatasetForm()
    if form.validate_on_submit():
        name = (form.name.data or "").strip() or _name_from(form.file.data.filename)
        version = _store(form, lambda: datasets.create_dataset(db(), scope(), name))
        if version is not None:
            return _to(version)
    return render_template("datasets/new.html", form=form, dataset=None), 422 if form.is_submitted() else 200


@bp.route("/<uuid:dataset_id>/versions/new", methods=["GET", "POST"])
@allow(Permission.DATASETS_WRITE)
def new_version(dataset_id: UUID) -> ResponseReturnValue:
    dataset = get_or_404(Dataset, dataset_id)
    form = NewVersionForm()
    if form.validate_on_submit():
        version = _store(form, lambda: dataset)
        if version is not None:
            return _to(version)
    return render_template(
        "datasets/new.html", form=form, dataset=dataset
    ), 422 if form.is_submitted() else 200


def _name_from(filename: str) -> str:
    """A dataset's name that its file's makes, but for what is personal in that: a row holds it in plain."""
    tenant_id = scope().tenant_id
    protector = for_display(tenant_key(db(), tenant_id), current_policy(db(), tenant_id))
    (name,) = protector.texts([PurePath(filename.replace("\\", "/")).stem])
    return name[:120] or "Dataset"


def _store(form: NewVersionForm, get_dataset: Callable[[], Dataset]) -> DatasetVersion | None:
    """Keep the form's upload as a version; None, with the error in the form, where that cannot be."""
    upload = form.file.data.stream
    assert isinstance(upload, EncryptedUpload)
    blob = upload.commit()
    try:
        version = datasets.add_version(
            db(), scope(), get_dataset(), upload.version_id, form.file.data.filename, blob
        )
        db().commit()
    except Exception as error:
        db().rollback()
        blob_store().delete(tenant_key(db(), scope().tenant_id), blob.name)
        if isinstance(error, DataError):
            form.file.errors = [*form.file.errors, str(error)]
        elif isinstance(error, DatasetError) and error.field in form:
            form[error.field].errors = [*form[error.field].errors, str(error)]
        else:
            raise
        return None
    return version


@bp.get("/<uuid:dataset_id>")
@allow(Permission.DATASETS_READ)
def show(dataset_id: UUID) -> ResponseReturnValue:
    dataset = get_or_404(Dataset, dataset_id)
    versions = db().execute(
        select(DatasetVersion, User.name)
        .outerjoin(User, User.id == DatasetVersion.created_by_id)
        .where(DatasetVersion.dataset_id == dataset.id)
        .order_by(DatasetVersion.number.desc())
    )
    key = tenant_key(db(), scope().tenant_id)
    listed = [(version, open_source(key, version).filename, author) for version, author in versions]
    return render_template("datasets/show.html", dataset=dataset, versions=listed)


@bp.get("/versions/<uuid:version_id>")
@allow(Permission.DATASETS_READ)
def version(version_id: UUID) -> ResponseReturnValue:
    found = get_or_404(DatasetVersion, version_id)
    if found.status is DatasetStatus.UPLOADED and scope().allows(Permission.DATASETS_WRITE):
        return redirect(url_for("datasets.columns", version_id=found.id), code=303)
    dataset, source = db().get_one(Dataset, found.dataset_id), source_of(db(), found)
    return render_template(
        f"datasets/{_page_of(found.status)}.html",
        dataset=dataset,
        version=found,
        task=dataset.task,
        source=source,
        reading=_reading_in_words(found, source),
        twin=datasets.find_twin(db(), found),
        sample=_sample(found),
        tones=tones(found.labels or ()),
        kind_tones=KIND_TONES,
        outdated=found.status is DatasetStatus.REVIEW and is_outdated(db(), found),
        cut_tokens=cut_tokens,
    )


def _page_of(status: DatasetStatus) -> str:
    return "working" if status in _WORKING else status.value


def _sample(version: DatasetVersion) -> list[StoredRow]:
    if version.status is not DatasetStatus.READY:
        return []
    try:
        return list(islice(datasets.iter_rows(db(), version), SAMPLE_ROWS))
    except (BlobNotFound, BlobCorrupt):
        log.exception("dataset_rows_unreadable", version_id=str(version.id))
        return []


@bp.get("/versions/<uuid:version_id>/progress")
@allow(Permission.DATASETS_READ)
def progress(version_id: UUID) -> ResponseReturnValue:
    """The progress alone, for htmx to poll; once the job has ended, the word to load the page again."""
    found = get_or_404(DatasetVersion, version_id)
    if found.status not in _WORKING:
        return Response(headers={"HX-Refresh": "true"})
    return render_template("datasets/_progress.html", version=found)


@bp.get("/versions/<uuid:version_id>/columns")
@allow(Permission.DATASETS_WRITE)
def columns(version_id: UUID) -> ResponseReturnValue:
    """Which column is what; the argument `task` asks for the columns of another task than was recognised."""
    found = _waiting_or_404(version_id)
    return _columns_page(found, task=_task_of(found, request.args.get("task")))


@bp.post("/versions/<uuid:version_id>/check")
@allow(Permission.DATASETS_WRITE)
def check(version_id: UUID) -> ResponseReturnValue:
    found = get_or_404(DatasetVersion, version_id)
    form = ColumnsForm()
    form.offer(_task_of(found, request.form.get("task")), source_of(db(), found).columns)
    if not form.validate_on_submit():
        return _columns_page(_waiting_or_404(version_id), form)
    try:
        datasets.start_check(db(), scope(), found, form.mapping)
    except DatasetError as error:
        if error.field in form:
            form[error.field].errors = [*form[error.field].errors, str(error)]
            db().rollback()
            return _columns_page(found, form)
        flash(str(error), "error")
    db().commit()
    return _to(found)


def _task_of(version: DatasetVersion, asked: str | None) -> Task:
    """The task that is asked for; that of the version's mapping where none is, or none that there is."""
    if asked in list(Task):
        return Task(asked)
    mapping = source_of(db(), version).mapping
    return mapping.task if mapping else Task.CLASSIFICATION


@bp.post("/versions/<uuid:version_id>/reading")
@allow(Permission.DATASETS_WRITE)
def read_differently(version_id: UUID) -> ResponseReturnValue:
    found = _waiting_or_404(version_id)
    form = ReadingForm()
    if not form.validate_on_submit():
        return _columns_page(found, reading_form=form)
    try:
        datasets.read_differently(
            db(),
            scope(),
            found,
            encoding=form.encoding.data,
            delimiter=form.delimiter.data,
            header=form.header.data == "names",
        )
    except (DataError, DatasetError) as error:
        form.form_errors.append(str(error))
        return _columns_page(found, reading_form=form)
    db().commit()
    return redirect(url_for("datasets.columns", version_id=found.id), code=303)


@bp.post("/versions/<uuid:version_id>/accept")
@allow(Permission.DATASETS_WRITE)
def accept(version_id: UUID) -> ResponseReturnValue:
    found = get_or_404(DatasetVersion, version_id)
    try:
        datasets.accept(db(), scope(), found)
    except DatasetError as error:
        flash(str(error), "error")
    db().commit()
    return _to(found)


@bp.post("/versions/<uuid:version_id>/discard")
@allow(Permission.DATASETS_WRITE)
def discard(version_id: UUID) -> ResponseReturnValue:
    found = get_or_404(DatasetVersion, version_id)
    try:
        datasets.discard(db(), scope(), found)
    except DatasetError as error:
        flash(str(error), "error")
        return _to(found)
    db().commit()
    flash(f"Version {found.number} is discarded, and its file deleted.", "success")
    return redirect(url_for("datasets.show", dataset_id=found.dataset_id), code=303)


@bp.get("/versions/<uuid:version_id>/rows.csv")
@allow(Permission.DATASETS_READ)
def download(version_id: UUID) -> ResponseReturnValue:
    """The rows as they are stored, pseudonymised."""
    found = get_or_404(DatasetVersion, version_id)
    if found.status is not DatasetStatus.READY:
        flash("There are no rows to download before the version is ready.", "error")
        return _to(found)
    try:
        rows = datasets.iter_rows(db(), found)
        first = list(islice(rows, 1))
    except (BlobNotFound, BlobCorrupt):
        log.exception("dataset_rows_unreadable", version_id=str(found.id))
        flash("The rows cannot be read just now. It is our fault and it was noted.", "error")
        return _to(found)
    dataset = db().get_one(Dataset, found.dataset_id)
    headers = {"Content-Disposition": f'attachment; filename="{_slug(dataset.name)}-v{found.number}.csv"'}
    return Response(rows_csv(chain(first, rows)), mimetype="text/csv", headers=headers)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "dataset"


def _waiting_or_404(version_id: UUID) -> DatasetVersion:
    """The version, if its upload is there and nobody works on it."""
    found = get_or_404(DatasetVersion, version_id)
    if found.status not in datasets.WAITING or found.upload_blob is None:
        abort(404)
    return found


def _columns_page(
    version: DatasetVersion,
    form: ColumnsForm | None = None,
    reading_form: ReadingForm | None = None,
    task: Task | None = None,
) -> ResponseReturnValue:
    source = source_of(db(), version)
    assert source.reading is not None
    assert source.mapping is not None
    task = task or (Task(form.task.data) if form else source.mapping.task)
    try:
        rows, problem = datasets.upload_preview(db(), version), None
        shown = form or _columns_form(version, source, source.mapping, task)
    except DataError as error:
        rows, problem = [], str(error)
        shown = form or ColumnsForm(formdata=None)
        shown.offer(task, source.columns)
    page = render_template(
        "datasets/columns.html",
        dataset=db().get_one(Dataset, version.dataset_id),
        version=version,
        task=task,
        rows=rows,
        problem=problem,
        form=shown,
        source=source,
        reading=source.reading,
        reading_words=_reading_in_words(version, source),
        reading_form=reading_form or _reading_form(source.reading),
    )
    return page, 422 if form or reading_form else 200


def _columns_form(version: DatasetVersion, source: Source, mapping: ColumnMapping, task: Task) -> ColumnsForm:
    """The form as it was filled in last, or for another task as it likely is. Raises DataError."""
    if mapping.task is not task:
        mapping = datasets.guess_again(db(), version, task)
    form = ColumnsForm(formdata=None)
    form.offer(task, source.columns)
    form.fill(mapping)
    return form


def _reading_form(reading: Reading) -> ReadingForm:
    return ReadingForm(
        formdata=None,
        encoding="utf-8" if reading.encoding == "utf-8-sig" else reading.encoding,
        delimiter=reading.delimiter,
        header="names" if reading.header else "data",
    )


def _reading_in_words(version: DatasetVersion, source: Source) -> str:
    """How the file is read: CSV, separated by commas, UTF-8 (assumed), with column names."""
    reading = source.reading
    if reading is None:
        return version.format.upper()
    words = [FORMAT_TITLES[reading.format]]
    if reading.is_delimited:
        words.append(f"separated by {DELIMITERS[reading.delimiter]}")
    if reading.format is not DataFormat.PARQUET:
        words.append(reading.encoding_title + (" (assumed)" if reading.encoding_assumed else ""))
    if reading.is_delimited and not reading.header:
        words.append("without column names")
    return ", ".join(words)


def _to(version: DatasetVersion) -> ResponseReturnValue:
    return redirect(url_for("datasets.version", version_id=version.id), code=303)
