"""Bodies that are larger than they may be, or than they look: refused before they are taken in."""

import gzip
import io
import json

import pytest

from core import api_keys
from core.config import get_settings
from core.db import tenant_session
from core.storage import blob_store
from inference.gateway.app import MAXIMUM_BODY
from portal.uploads import ENDPOINTS
from tests.test_routes import calls

FORM_LIMIT = 1 << 20


@pytest.fixture
def headers(admin):
    with tenant_session(admin.scope) as session:
        _, plain = api_keys.create(session, admin.scope, "test", may_manage=True)
        session.commit()
    return {"Authorization": f"Bearer {plain}"}


@pytest.fixture
def small_uploads(monkeypatch):
    """Uploads of 1 KB at most, so that no test needs a gigabyte."""
    monkeypatch.setenv("MAX_UPLOAD_BYTES", "1024")
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def test_no_form_of_the_portal_takes_more_than_a_megabyte(portal, admin, world):
    body = {"name": "a" * (FORM_LIMIT + 1)}
    checked = 0
    for method, path, rule in calls(portal, world.arguments):
        if method == "POST" and rule.endpoint not in ENDPOINTS | {"auth.logout"}:
            checked += 1
            assert admin.client.post(path, data=body).status_code in (403, 404, 413), path
    assert checked > 30


def test_a_dataset_over_the_limit_is_refused_and_nothing_of_it_stays(admin, small_uploads):
    before = blob_store().sizes(admin.scope.tenant_id)
    file = (io.BytesIO(b"text,label\n" + b"a,b\n" * 1000), "rows.csv")
    answer = admin.client.post("/datasets/new", data={"name": "Large", "file": file})
    assert answer.status_code in (413, 422)
    assert "large" in answer.get_data(as_text=True)
    assert blob_store().sizes(admin.scope.tenant_id) == before


def test_a_file_of_the_api_over_the_limit_is_refused_and_nothing_of_it_stays(
    api, admin, headers, small_uploads
):
    before = blob_store().sizes(admin.scope.tenant_id)
    file = (io.BytesIO(b'{"text": "a", "label": "b"}\n' * 1000), "rows.jsonl")
    answer = api.test_client().post("/v1/files", data={"purpose": "fine-tune", "file": file}, headers=headers)
    assert answer.status_code == 413
    assert blob_store().sizes(admin.scope.tenant_id) == before


def test_no_other_route_of_the_api_takes_more_than_four_megabytes(api, world, headers):
    body = b'{"model": "' + b"a" * MAXIMUM_BODY + b'"}'
    for method, path, rule in calls(api, world.arguments):
        if method == "POST" and rule.rule != "/v1/files":
            answer = api.test_client().post(path, data=body, headers=headers, content_type="application/json")
            # To cancel something takes no body, and so none is read.
            assert answer.status_code in (404, 413) or path.endswith("/cancel"), path


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_the_api_takes_no_compressed_body(api, world, headers, encoding):
    bomb = json.dumps({"model": "messages", "input": "a" * 10_000_000}).encode()
    packed = gzip.compress(bomb)
    assert len(packed) < 20_000
    for method, path, _ in calls(api, world.arguments):
        if method == "POST":
            answer = api.test_client().post(
                path,
                data=packed,
                headers={**headers, "Content-Encoding": encoding},
                content_type="application/json",
            )
            assert answer.status_code == 415, path
            assert "without Content-Encoding" in answer.get_json()["error"]["message"]


def test_a_compressed_form_is_not_unpacked(portal, admin):
    packed = gzip.compress(b"name=" + b"a" * 1_000_000)
    answer = admin.client.post(
        "/keys",
        data=packed,
        headers={"Content-Encoding": "gzip"},
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 422


def test_a_compressed_file_is_no_dataset(admin):
    file = (io.BytesIO(gzip.compress(b"text,label\n" + b"a,b\n" * 1_000_000)), "rows.csv")
    answer = admin.client.post("/datasets/new", data={"name": "Packed", "file": file}, follow_redirects=True)
    assert answer.status_code in (200, 422)
    assert (
        "compressed" in answer.get_data(as_text=True).lower()
        or "zip" in answer.get_data(as_text=True).lower()
    )
