"""Everything that the tenant owns, to take away."""

from uuid import UUID

from flask import Blueprint, Response, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core import audit
from core.models.exports import DataExport, ExportStatus
from core.storage import BlobNotFound
from core.tenancy import Permission
from portal import exports
from portal.access import allow
from portal.session import db, get_or_404, scope

bp = Blueprint("exports", __name__, url_prefix="/exports")


@bp.get("")
@allow(Permission.TENANT_EXPORT)
def index() -> ResponseReturnValue:
    return render_template("exports/index.html", exports=exports.list_exports(db()))


@bp.post("")
@allow(Permission.TENANT_EXPORT)
def ask() -> ResponseReturnValue:
    try:
        exports.request_export(db(), scope())
    except exports.ExportError as error:
        flash(str(error), "error")
    else:
        db().commit()
        flash("The archive is being made.", "success")
    return redirect(url_for("exports.index"), code=303)


@bp.get("/<uuid:export_id>/download")
@allow(Permission.TENANT_EXPORT)
def download(export_id: UUID) -> ResponseReturnValue:
    export = get_or_404(DataExport, export_id)
    if export.status is not ExportStatus.READY:
        abort(404)
    try:
        pieces = exports.pieces(db(), export)
    except BlobNotFound:
        abort(404)
    audit.record(db(), scope(), "export.downloaded", export)
    db().commit()
    headers = {
        "Content-Disposition": f'attachment; filename="adaptary-{export.created_at:%Y-%m-%d}.zip"',
        "Content-Length": str(export.size_bytes),
    }
    return Response(pieces, content_type="application/zip", headers=headers)
