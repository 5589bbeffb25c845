"""Input that no form sends: every route answers it, and none breaks."""

import io
import pkgutil
from importlib import import_module
from urllib.parse import urlencode

import pytest
from flask_wtf import FlaskForm
from sqlalchemy import select
from werkzeug.test import EnvironBuilder
from wtforms import Field

import portal.forms
from core.db import tenant_session
from core.models.datasets import DatasetVersion
from core.tenancy import StaffRole
from tests.test_routes import calls
from tests.world import build_world

# What Postgres takes in no text; numbers beyond its largest and below zero; and in one: what closes a quote, a line
# break for a header, half a character, a way out of a folder, and many long characters.
HOSTILE = ["a\0b", "9" * 30, "-1", "'\"><script>\r\nSet-Cookie: x=1\udcff../../etc/passwd" + "😀" * 300]
# Names that views read from a query themselves, without a form.
QUERY_NAMES = {"page", "month", "by", "kind", "next", "model", "version", "sort"}


def field_names() -> set[str]:
    """The fields of every form of the portal."""
    names = set(QUERY_NAMES)
    for module in pkgutil.walk_packages(portal.forms.__path__, "portal.forms."):
        for form in vars(import_module(module.name)).values():
            if isinstance(form, type) and issubclass(form, FlaskForm) and form is not FlaskForm:
                names |= {name for name in dir(form) if not name.startswith("_") and _is_field(form, name)}
    return names


def _is_field(form: type[FlaskForm], name: str) -> bool:
    return hasattr(getattr(form, name), "field_class") or isinstance(getattr(form, name), Field)


def test_the_fields_of_forms_are_known():
    assert {"email", "allow_list", "name", "reason"} <= field_names()


@pytest.mark.parametrize("who", ["outsider", "admin", "staff"])
def test_no_route_breaks_on_hostile_values(portal, client, admin, staff, who):
    sender = {"outsider": client, "admin": admin.client, "staff": staff(StaffRole.ADMIN).client}[who]
    routes = calls(portal, build_world(admin.scope).arguments)
    for value in HOSTILE:
        fields = urlencode(dict.fromkeys(field_names(), value), errors="surrogateescape")
        # Shorter in an address, which is unpacked several times on its way.
        query = urlencode(dict.fromkeys(field_names(), value[:80]), errors="surrogateescape")
        for method, path, rule in routes:
            if rule.endpoint in ("auth.logout", "static"):
                continue
            response = sender.open(
                path,
                method=method,
                query_string=query,
                data=None if method == "GET" else fields,
                content_type="application/x-www-form-urlencoded",
            )
            assert response.status_code < 500, f"{method} {path} with {value!a}: {response.status_code}"
            assert "x=1" not in str(response.headers.getlist("Set-Cookie"))


def test_a_path_with_a_character_that_no_text_has_is_not_found(portal, admin, staff):
    for path in ("/invites/a%00b", "/operator/plans/a%00b", "/static/a%00b", "/a%00b"):
        assert staff(StaffRole.ADMIN).client.get(path).status_code in (400, 404), path


@pytest.mark.parametrize(
    "filename",
    [
        "../../../etc/passwd",
        "C:\\Windows\\evil.csv",
        "a" * 5000 + ".csv",
        "a\r\nX: y.csv",
        "\u202etxt.csv",
        ".",
        "\udcff.csv",
    ],
    ids=ascii,
)
def test_an_uploads_name_is_a_name_and_nothing_more(admin, filename):
    file = (io.BytesIO(b"text,label\nWhere is it?,where\nGive it back,back\n"), "FILENAME")
    environ = EnvironBuilder(method="POST", data={"file": file}).get_environ()
    body = environ["wsgi.input"].read().replace(b"FILENAME", filename.encode(errors="surrogateescape"))
    response = admin.client.post("/datasets/new", data=body, content_type=environ["CONTENT_TYPE"])
    assert response.status_code in (303, 400, 422)
    with tenant_session(admin.scope) as session:
        for version in session.scalars(select(DatasetVersion)):
            assert str(version.id) in str(version.upload_blob)
