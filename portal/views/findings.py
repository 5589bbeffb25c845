"""Personal data in an upload under review: its rows before and after, and what a person corrects of the findings."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.models.datasets import Dataset, DatasetStatus, DatasetVersion, FindingCorrection
from core.privacy.entities import CUSTOM, ENTITIES
from core.privacy.normalise import normalise
from core.privacy.policies import PolicyError, current_policy, list_value
from core.privacy.types import DetectionFailed
from core.storage import BlobCorrupt, BlobNotFound, tenant_key
from core.tenancy import Permission
from portal.access import allow
from portal.forms.errors import show as show_error
from portal.forms.findings import CorrectionForm
from portal.highlights import KIND_TONES, Piece, Span, cut, replaced
from portal.session import db, get_or_404, scope
from training.data import datasets
from training.data.correcting import Corrector
from training.data.corrections import (
    Correction,
    CorrectionError,
    correct,
    corrections_of,
    is_outdated,
    withdraw,
)
from training.data.personal import Protector
from training.data.readers import open_table
from training.data.reviewing import Place, ReviewedRow, ReviewedText, place, review
from training.data.sources import mapping_of, reading_of, source_of

log = structlog.get_logger(__name__)

bp = Blueprint("findings", __name__, url_prefix="/datasets/versions/<uuid:version_id>/findings")


@dataclass(frozen=True, slots=True)
class Found:
    """A value that was found in a row, once for all its places; `is_listed` where the policy's list names it."""

    value: str
    kind: str
    is_listed: bool


@dataclass(frozen=True, slots=True)
class ShownText:
    """A text in pieces: as it came, and as it would be stored."""

    role: str | None
    before: list[Piece]
    after: list[Piece]

    @property
    def is_kept(self) -> bool:
        """Whether the text is stored as it came."""
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class ShownRow:
    number: int
    is_whole: bool
    texts: list[ShownText]
    found: list[Found]


@bp.route("", methods=["GET", "POST"])
@allow(Permission.DATASETS_WRITE)
def show(version_id: UUID) -> ResponseReturnValue:
    """The rows in which something was found, and a form to correct it.

    `kind` chooses one kind, `all` every row, `from` the row with which the page begins.
    """
    version = get_or_404(DatasetVersion, version_id)
    form = CorrectionForm()
    form.offer(may_change_policy=scope().allows(Permission.PRIVACY_WRITE))
    if form.validate_on_submit() and _corrected(form, version):
        return _to(version)
    if version.status is not DatasetStatus.REVIEW:
        flash("Findings can be corrected while a version is in review.", "error")
        return redirect(url_for("datasets.version", version_id=version.id), code=303)
    return _page(version, form), 422 if form.is_submitted() else 200


def _corrected(form: CorrectionForm, version: DatasetVersion) -> bool:
    """Do what the form says. Without it, where that cannot be, with the error in the form."""
    try:
        if form.is_everywhere:
            policy = list_value(db(), scope(), form.value.data, denied=form.kind is not None)
            done = f"Your privacy policy, version {policy.version} now, names the value."
        else:
            correct(db(), scope(), version, form.value.data, form.kind)
            done = "Noted for every row of this file."
    except PolicyError as error:
        form.value.errors = [*form.value.errors, str(error)]
    except CorrectionError as error:
        show_error(form, error)
    else:
        db().commit()
        flash(f"{done} Check the file again to see it in the report.", "success")
        return True
    db().rollback()
    return False


@bp.post("/corrections/<uuid:correction_id>/withdraw")
@allow(Permission.DATASETS_WRITE)
def take_back(version_id: UUID, correction_id: UUID) -> ResponseReturnValue:
    version = get_or_404(DatasetVersion, version_id)
    correction = get_or_404(FindingCorrection, correction_id)
    if correction.version_id != version.id:
        abort(404)
    try:
        withdraw(db(), scope(), correction)
    except CorrectionError as error:
        flash(str(error), "error")
    db().commit()
    return _to(version)


def _to(version: DatasetVersion) -> ResponseReturnValue:
    """To the same page of rows again."""
    return redirect(url_for(".show", version_id=version.id, **_asked()), code=303)


def _asked() -> dict[str, Any]:
    """Which page of rows was asked for."""
    return {name: request.args[name] for name in ("kind", "all", "from") if name in request.args}


def _page(version: DatasetVersion, form: CorrectionForm) -> str:
    assert version.report is not None
    kinds = _kinds(version)
    kind = request.args.get("kind")
    kind = kind if kind in kinds else None
    every = "all" in request.args
    at = place(version.report, kind, request.args.get("from", 1, type=int), every=every)
    corrections = corrections_of(db(), version)
    rows, problem = _rows(version, at, corrections)
    return render_template(
        "datasets/findings.html",
        dataset=db().get_one(Dataset, version.dataset_id),
        version=version,
        form=form,
        asked=_asked(),
        kinds=kinds,
        kind=kind,
        every=every,
        before=at.before,
        behind=at.numbers[len(rows)] if rows and len(rows) < len(at.numbers) else at.behind,
        rows=rows,
        problem=problem,
        corrections=corrections,
        titles={entity.name: entity.title for entity in ENTITIES},
        tones=KIND_TONES,
        outdated=is_outdated(db(), version),
        source=source_of(db(), version),
    )


def _kinds(version: DatasetVersion) -> dict[str, int]:
    """The kinds that the check found, each with the number of its rows."""
    assert version.report is not None
    return {one["entity"]: one["rows"] for one in version.report["personal_data"]["entities"]}


def _rows(
    version: DatasetVersion, at: Place, corrections: list[Correction]
) -> tuple[list[ShownRow], str | None]:
    """The rows of the page, or what keeps them from being shown."""
    protector = Protector(
        tenant_key(db(), version.tenant_id), current_policy(db(), version.tenant_id), Corrector(corrections)
    )
    try:
        with datasets.open_upload(db(), version) as stream:
            table = open_table(stream, reading_of(db(), version))
            reviewed = review(table, mapping_of(db(), version), protector, at.numbers)
    except (BlobNotFound, BlobCorrupt, DetectionFailed):
        log.exception("dataset_upload_unreadable", version_id=str(version.id))
        return [], "The file cannot be read and searched just now. It is our fault and it was noted."
    said = {normalise(CUSTOM, one.value) for one in corrections}
    return [_shown(row, said) for row in reviewed], None


def _shown(row: ReviewedRow, said: set[str]) -> ShownRow:
    found: dict[tuple[str, str], Found] = {}
    for text in row.texts:
        for one in text.protected.findings:
            value = text.protected.original[one.start : one.end]
            is_listed = one.entity == CUSTOM and normalise(CUSTOM, value) not in said
            found.setdefault((one.entity, normalise(one.entity, value)), Found(value, one.entity, is_listed))
    return ShownRow(row.number, row.is_whole, list(map(_shown_text, row.texts)), list(found.values()))


def _shown_text(text: ReviewedText) -> ShownText:
    one = text.protected
    before = cut(one.original, [Span(it.start, it.end, it.entity) for it in one.findings])
    return ShownText(text.role, before, replaced(before, text.replacements))
