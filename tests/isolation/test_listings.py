"""Pages, lists, downloads and the export: nothing that is in a second tenant's rows stands in any of them.

The second tenant has a row in every table, and every id and every text of its own is looked for.
"""

import io
import zipfile

import pytest
from sqlalchemy import select

from core.db import tenant_session
from core.models.exports import DataExport
from core.queues import Queue
from tests.api.workers import work_off
from tests.isolation.catalogue import owned_tables
from tests.isolation.private import private_values, told
from tests.isolation.rows import add_rows
from tests.isolation.swaps import is_a_tenants
from tests.test_routes import access_of, calls


@pytest.fixture
def theirs(superuser, neighbours) -> set[str]:
    """What must stand nowhere."""
    other = neighbours.theirs.scope.tenant_id
    add_rows(superuser, owned_tables(superuser), other)
    values = private_values(superuser, other, neighbours.mine.scope.tenant_id)
    assert {
        str(other),
        neighbours.theirs.model_name,
        str(neighbours.theirs.arguments["dataset_id"]),
    } <= values
    return values


def test_what_is_looked_for_would_be_found(portal, neighbours, other_admin, theirs):
    """The second tenant's own pages do hold it."""
    page = other_admin.client.get("/keys").get_data(as_text=True)
    assert told(theirs, page)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "part of a page"])
def test_no_page_or_download_holds_anything_of_another_tenants(portal, neighbours, theirs, headers):
    seen = 0
    for method, path, rule in calls(portal, neighbours.mine.arguments):
        if method == "GET" and is_a_tenants(access_of(portal, rule)):
            response = neighbours.admin.client.get(path, headers=headers)
            answer = response.get_data().decode("utf-8", "replace") + str(response.headers)
            assert not told(theirs, answer), path
            seen += response.status_code == 200
    assert seen > 25


def test_no_list_of_the_api_holds_anything_of_another_tenants(api, neighbours, headers, theirs):
    for method, path, rule in calls(api, neighbours.mine.arguments):
        if method == "GET" and is_a_tenants(access_of(api, rule)):
            for query in ("", "?limit=1", "?limit=100"):
                answer = api.test_client().get(path + query, headers=headers).get_data(as_text=True)
                assert not told(theirs, answer), path


def test_the_pages_of_a_list_end_with_the_tenants_own(api, headers, theirs):
    """Each page begins after the last object of the one before: a step too far would lead to a neighbour's."""
    client = api.test_client()
    for path in ("/v1/files", "/v1/batches", "/v1/fine_tuning/jobs"):
        after: dict[str, str] = {}
        while True:
            page = client.get(path, query_string={"limit": 1, **after}, headers=headers).get_json()
            assert not told(theirs, str(page)), path
            if not page["has_more"]:
                break
            after = {"after": page["last_id"]}


def test_the_export_of_everything_holds_nothing_of_another_tenants(portal, neighbours, theirs):
    client = neighbours.admin.client
    assert client.post("/exports").status_code == 303
    work_off(Queue.DATASETS)
    with tenant_session(neighbours.mine.scope) as session:
        export = session.scalars(select(DataExport).order_by(DataExport.created_at.desc()).limit(1)).one()
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/exports/{export.id}/download").get_data()))
    assert len(archive.namelist()) > 10
    for name in archive.namelist():
        assert not told(theirs, name + archive.read(name).decode("utf-8", "replace")), name


def test_an_answer_to_an_empty_form_tells_nothing_of_another_tenants(portal, neighbours, theirs):
    for method, path, rule in calls(portal, neighbours.mine.arguments):
        if method != "GET" and is_a_tenants(access_of(portal, rule)) and rule.endpoint != "auth.logout":
            answer = neighbours.admin.client.open(path, method=method).get_data(as_text=True)
            assert not told(theirs, answer), path
