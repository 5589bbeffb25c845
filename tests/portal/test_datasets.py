"""A dataset through the portal's pages: upload, columns, check, review, rows."""

import io
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from sqlalchemy import select

from core.config import get_settings
from core.db import tenant_session
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.tenancy import Role
from portal import uploads
from tests.datasets import accept, check, get, ready_version, upload
from training.data import tasks

ROWS = [
    (f"Where is parcel number {number} of mine?", "delivery")
    if number % 2
    else (f"Refund {number}!", "refund")
    for number in range(60)
]


def as_csv(rows=ROWS) -> bytes:
    return ("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows)).encode()


def send(person, data=None, filename="messages.csv", path="/datasets/new", **fields):
    file = (io.BytesIO(as_csv() if data is None else data), filename)
    return person.client.post(path, data={**fields, "file": file}, content_type="multipart/form-data")


def page(person, path) -> str:
    response = person.client.get(path, follow_redirects=True)
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def version_of(response) -> UUID:
    assert response.status_code == 303, response.get_data(as_text=True)
    return UUID(urlsplit(response.location).path.rsplit("/", 1)[-1])


def work(person, version_id, task) -> None:
    task(str(person.scope.tenant_id), str(version_id))


def blob_files(person):
    root = get_settings().blob_url.removeprefix("file://")
    return [path for path in Path(root, str(person.scope.tenant_id)).rglob("*") if path.is_file()]


def test_the_whole_way_from_a_file_to_rows(admin):
    assert "No datasets yet" in page(admin, "/datasets")
    version_id = version_of(send(admin, name="Support messages"))
    path = f"/datasets/versions/{version_id}"

    columns = page(admin, path)
    assert "Where is parcel number 1 of mine?" in columns
    assert "CSV, separated by comma, UTF-8" in columns
    answer = admin.client.post(f"{path}/check", data={"text": "text", "label": "label", "split": ""})
    assert answer.status_code == 303
    assert 'hx-trigger="every 2s"' in page(admin, path)
    work(admin, version_id, tasks.check_dataset)
    assert admin.client.get(f"{path}/progress").headers["HX-Refresh"] == "true"

    review = page(admin, path)
    for words in ("Nothing to mend", "Split to be", "delivery", "Accept"):
        assert words in review
    assert admin.client.post(f"{path}/accept").status_code == 303
    work(admin, version_id, tasks.import_dataset)

    ready = page(admin, path)
    assert str(get(admin.scope, version_id).digest) in ready
    assert "Where is parcel number 1 of mine?" in ready
    assert "Support messages" in page(admin, "/datasets")
    rows = admin.client.get(f"{path}/rows.csv")
    assert rows.headers["Content-Disposition"] == 'attachment; filename="support-messages-v1.csv"'
    assert len(rows.get_data(as_text=True).splitlines()) == 61


def test_an_upload_is_never_written_to_a_disk_in_the_clear(admin, monkeypatch):
    def refuse(*_arguments, **_names):
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refuse)
    sentence = b"A sentence that nobody but its tenant may read"
    data = b"text,label\n" + b"".join(sentence + b" %d,a\n" % number for number in range(40_000))
    version_of(send(admin, data))
    [blob] = blob_files(admin)
    assert blob.stat().st_size > len(data)
    assert sentence not in blob.read_bytes()


@pytest.mark.parametrize(
    ("data", "filename", "message"),
    [
        (b"", "empty.csv", "The file is empty"),
        (b"PK\x03\x04 [Content_Types].xml", "book.csv", "save it as “CSV UTF-8”"),
        (b"text,label\n", "header.csv", "no rows below them"),
        (b"text\none\ntwo\n", "one.csv", "The file has one column"),
        (b"id,text,label\n1,a,b\n2,c\n", "ragged.csv", "Row 2 has 2 fields, the header has 3"),
        (b"id,text,label\n1,a,b\n2,c\n", "", "Choose a file."),
    ],
)
def test_a_file_that_is_no_table_is_refused_beside_its_field_and_leaves_nothing(
    admin, data, filename, message
):
    response = send(admin, data, filename)
    assert response.status_code == 422
    assert message in response.get_data(as_text=True)
    assert blob_files(admin) == []
    with tenant_session(admin.scope) as session:
        assert session.scalars(select(Dataset)).all() == []


def test_a_name_that_is_taken_is_said_beside_its_field(admin):
    send(admin, name="Mail")
    response = send(admin, name="Mail")
    assert response.status_code == 422
    assert "There is a dataset “Mail” already" in response.get_data(as_text=True)
    assert len(blob_files(admin)) == 1


def test_without_a_name_a_dataset_is_named_after_its_file(admin):
    send(admin, filename="guest_reviews.csv")
    with tenant_session(admin.scope) as session:
        assert session.scalars(select(Dataset.name)).all() == ["guest_reviews"]


def test_a_file_over_the_limit_is_refused_in_words_and_leaves_nothing(admin, monkeypatch):
    class Small:
        max_upload_bytes = 1000

    monkeypatch.setattr(uploads, "get_settings", lambda: Small)
    for data in (as_csv() * 2, b"x" * (2 << 20)):
        response = send(admin, data)
        assert response.status_code == 413
        assert "Split it" in response.get_data(as_text=True)
    assert blob_files(admin) == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
def test_who_may_only_look_cannot_upload_or_decide(member, admin, role):
    person = member(role)
    assert send(person).status_code == 403
    assert blob_files(admin) == []
    version_id = upload(admin.scope, as_csv())
    assert "Waiting for its columns" in page(person, f"/datasets/versions/{version_id}")
    for action in ("check", "accept", "discard", "reading"):
        assert person.client.post(f"/datasets/versions/{version_id}/{action}").status_code == 403


def test_an_upload_by_nobody_is_not_kept(client, admin):
    response = client.post(
        "/datasets/new", data={"file": (io.BytesIO(as_csv()), "a.csv")}, content_type="multipart/form-data"
    )
    assert response.location.startswith("/login")


def test_files_sent_to_other_pages_are_ignored(admin):
    response = admin.client.post(
        "/keys",
        data={"name": "x" * 200, "file": (io.BytesIO(as_csv()), "a.csv")},
        content_type="multipart/form-data",
    )
    assert response.status_code == 422
    assert blob_files(admin) == []


def test_the_file_can_be_read_in_another_way(admin):
    data = "text;label\nGr\xfc\xdfe, Freund;hallo\n".encode("cp1252") * 3
    version_id = version_of(send(admin, data))
    path = f"/datasets/versions/{version_id}"
    assert "The encoding is a guess" in page(admin, path)
    answer = admin.client.post(
        f"{path}/reading", data={"encoding": "cp1252", "delimiter": ";", "header": "data"}
    )
    assert answer.status_code == 303
    shown = page(admin, path)
    assert "Grüße, Freund" in shown
    assert "without column names" in shown
    assert "The encoding is a guess" not in shown
    answer = admin.client.post(
        f"{path}/reading", data={"encoding": "utf-8", "delimiter": ";", "header": "data"}
    )
    assert answer.status_code == 422
    assert "not UTF-8" in answer.get_data(as_text=True)


def test_the_same_column_twice_is_said_beside_the_field(admin):
    version_id = upload(admin.scope, as_csv())
    response = admin.client.post(
        f"/datasets/versions/{version_id}/check", data={"text": "text", "label": "text", "split": ""}
    )
    assert response.status_code == 422
    assert "Choose different columns" in response.get_data(as_text=True)


def test_a_file_that_fails_its_check_says_why_and_what_next(admin):
    data = as_csv() + b"one,two,three\n"
    version_id = upload(admin.scope, data)
    assert check(admin.scope, version_id).status is DatasetStatus.FAILED
    shown = page(admin, f"/datasets/versions/{version_id}")
    assert "Row 61 has 3 fields, the header has 2" in shown
    assert "Upload a corrected file" in shown


def test_findings_are_shown_with_their_rows(admin):
    rows = [*ROWS, ROWS[0], ("", "refund"), ("REFUND 0", "delivery"), ("Mail me: ada@example.com", "rare")]
    version_id = upload(admin.scope, as_csv(rows))
    check(admin.scope, version_id)
    review = page(admin, f"/datasets/versions/{version_id}")
    for words in (
        "1 row repeat",
        "1 row without a text",
        "1 text has two or more labels",
        "1 label has few texts",
        "the same as row 1",
        "E-mail addresses",
    ):
        assert words in review
    assert "ada@example.com" not in review


def test_a_blocked_file_cannot_be_accepted(admin):
    version_id = upload(admin.scope, as_csv([(f"Text {number}", "same") for number in range(40)]))
    check(admin.scope, version_id)
    path = f"/datasets/versions/{version_id}"
    assert "cannot be trained on as it is" in page(admin, path)
    assert f"{path}/accept" not in page(admin, path)
    admin.client.post(f"{path}/accept")
    assert get(admin.scope, version_id).status is DatasetStatus.REVIEW


def test_a_discarded_version_is_gone_with_its_file(admin):
    version_id = version_of(send(admin))
    assert admin.client.post(f"/datasets/versions/{version_id}/discard").status_code == 303
    assert blob_files(admin) == []
    assert "This version was discarded" in page(admin, f"/datasets/versions/{version_id}")


def test_a_second_upload_is_the_next_version_and_a_twin_is_told(admin):
    first = ready_version(admin.scope, as_csv())
    path = f"/datasets/{first.dataset_id}/versions/new"
    assert "Earlier versions stay as they are" in page(admin, path)
    version_id = version_of(send(admin, path=path))
    check(admin.scope, version_id)
    accept(admin.scope, version_id)
    assert "exactly the same rows" in page(admin, f"/datasets/versions/{version_id}")
    assert "Version 2" in page(admin, f"/datasets/{first.dataset_id}")


def test_a_downloaded_text_is_no_formula(admin):
    rows = [*ROWS, ("=HYPERLINK(1)", "refund"), ("+1 for this", "refund"), ("@ hello there", "delivery")]
    version = ready_version(admin.scope, as_csv(rows))
    text = admin.client.get(f"/datasets/versions/{version.id}/rows.csv").get_data(as_text=True)
    for start in ("=", "+", "@"):
        assert f",{start}" not in text
        assert f",'{start}" in text


def test_the_rows_of_another_tenant_are_not_found(admin, other_admin):
    version = ready_version(admin.scope, as_csv())
    for path in ("", "/rows.csv", "/columns", "/progress"):
        assert other_admin.client.get(f"/datasets/versions/{version.id}{path}").status_code == 404
    with tenant_session(other_admin.scope) as session:
        assert session.scalars(select(DatasetVersion)).all() == []
