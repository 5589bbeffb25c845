"""Files over the API, with the openai package."""

import io
import json
from pathlib import Path

import openai
import pytest

from core.config import get_settings

ROWS = b"".join(
    json.dumps({"text": f"Where is parcel {number}?", "label": "ab"[number % 2]}).encode() + b"\n"
    for number in range(30)
)


def upload(app, data=ROWS, purpose="fine-tune", name="messages.jsonl"):
    return app.openai.files.create(file=(name, io.BytesIO(data)), purpose=purpose)


def blobs(app) -> list[Path]:
    folder = Path(get_settings().blob_url.removeprefix("file://"))
    return [
        path
        for root in (folder / str(app.scope.tenant_id), folder / ".incoming")
        for path in root.rglob("*")
        if path.is_file()
    ]


def test_a_file_is_uploaded_listed_read_back_and_deleted(app):
    file = upload(app)
    assert (file.object, file.bytes, file.filename, file.purpose) == (
        "file",
        len(ROWS),
        "messages.jsonl",
        "fine-tune",
    )
    client = app.openai
    assert client.files.retrieve(file.id) == file
    assert [listed.id for listed in client.files.list()] == [file.id]
    assert client.files.content(file.id).read() == ROWS
    assert client.files.delete(file.id).deleted
    assert list(client.files.list()) == []
    assert blobs(app) == []
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


def test_a_file_is_encrypted_where_it_lies(app):
    upload(app)
    [blob] = blobs(app)
    assert b"parcel" not in blob.read_bytes()


def test_files_are_listed_in_pages_by_purpose_and_order(app):
    requests = b'{"custom_id": "a", "method": "POST", "url": "/v1/classify", "body": {}}\n'
    files = [upload(app, name=f"{number}.jsonl") for number in range(5)]
    batch = upload(app, requests, purpose="batch")
    client = app.openai
    newest_first = [file.id for file in reversed(files)]
    assert [file.id for file in client.files.list(purpose="fine-tune", limit=2)] == newest_first
    assert [file.id for file in client.files.list(purpose="batch")] == [batch.id]
    assert next(iter(client.files.list(order="asc"))).id == files[0].id


@pytest.mark.parametrize(
    ("data", "purpose", "words"),
    [
        (b"", "fine-tune", "empty"),
        (b"text,label\na,b\n", "fine-tune", "JSON Lines"),
        (b'{"question": "a"}\n', "fine-tune", "do not tell"),
        (b'{"custom_id": "a"}\n', "batch", "'body'"),
        (ROWS, "assistants", "purpose"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_not_kept(app, data, purpose, words):
    with pytest.raises(openai.BadRequestError, match=words):
        upload(app, data, purpose=purpose)
    assert blobs(app) == []


def test_a_file_larger_than_the_limit_is_refused_and_not_kept(app, monkeypatch):
    monkeypatch.setenv("MAX_UPLOAD_BYTES", "1000")
    get_settings.cache_clear()
    try:
        with pytest.raises(openai.APIStatusError) as refused:
            upload(app)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert refused.value.status_code == 413
    assert blobs(app) == []


@pytest.mark.parametrize("body", [b"", b"--x\r\nnonsense", b"--x--\r\n"])
def test_a_body_that_is_no_form_is_refused(app, body):
    response = app.ask("POST", "/v1/files", data=body, content_type="multipart/form-data; boundary=x")
    assert response.status_code == 400
    assert response.json["error"]["code"] == "invalid_file"


def test_another_tenants_file_does_not_exist(app, other_app):
    file = upload(app)
    client = other_app.openai
    assert list(client.files.list()) == []
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            call(file.id)


def test_a_key_that_may_not_manage_uploads_nothing(app, make_app):
    with pytest.raises(openai.PermissionDeniedError, match="API keys"):
        upload(make_app(app.scope, may_manage=False))
