"""Nothing of a tenant's is kept where the next one to ask could get it: by a browser, a proxy, or our own processes."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from core.db import tenant_session
from inference.gateway import kept_answers
from inference.gateway.kept_answers import Claim, Kept
from tests.test_routes import calls

ROOT = Path(__file__).parents[2]

CACHED_BY = {
    "billing/revenue.py:_month_of": "a moment",
    "core/catalogue.py:sha256_of": "a base model's file",
    "inference/gateway/routes/openapi.py:_document": "the app",
    "portal/assets.py:_drawing": "a drawing's name",
    "portal/assets.py:_version": "a static file's name",
}
"""Functions that remember what they gave for an argument, and what that is: nothing of a tenant's."""


def test_no_answer_but_a_static_file_is_kept_by_a_browser_or_a_proxy(portal, client, neighbours, staff):
    senders = (client, neighbours.admin.client, staff().client)
    for sender, (method, path, rule) in product(senders, calls(portal, neighbours.mine.arguments)):
        is_write_of_another = method != "GET" and sender is not neighbours.admin.client
        if rule.endpoint in ("static", "auth.logout") or is_write_of_another:
            continue
        response = sender.open(path, method=method)
        assert response.headers["Cache-Control"] == "no-store", f"{method} {path}"
        assert not {"ETag", "Last-Modified", "Expires"} & set(response.headers.keys()), f"{method} {path}"


def test_an_address_that_is_none_is_not_kept_either(portal, client, neighbours):
    for sender in (client, neighbours.admin.client):
        assert sender.get("/no/such/page").headers["Cache-Control"] == "no-store"


def test_a_static_file_is_the_same_for_everybody_and_sets_no_cookie(client, neighbours):
    answers = [sender.get("/static/css/app.css") for sender in (client, neighbours.admin.client)]
    assert answers[0].get_data() == answers[1].get_data()
    for answer in answers:
        assert "Set-Cookie" not in answer.headers


def test_no_answer_of_the_api_is_kept(api, neighbours, headers):
    for method, path, _ in calls(api, neighbours.mine.arguments):
        for sent in (None, headers):
            response = api.test_client().open(path, method=method, headers=sent)
            assert response.headers["Cache-Control"] == "no-store", f"{method} {path}"
            assert "ETag" not in response.headers, f"{method} {path}"


def _remembering() -> Iterator[tuple[str, int]]:
    """(module:function, how many arguments it takes) of each that caches what it gave."""
    for package in ("core", "billing", "inference/gateway", "portal"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef) and any(map(_is_cache, node.decorator_list)):
                    arguments = node.args
                    count = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
                    yield f"{path.relative_to(ROOT).as_posix()}:{node.name}", count


def _is_cache(decorator: ast.expr) -> bool:
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    name = decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "")
    return name in ("cache", "lru_cache")


def test_what_a_process_remembers_does_not_depend_on_a_tenant():
    remembering = dict(_remembering())
    assert remembering
    assert {name for name, count in remembering.items() if count} == set(CACHED_BY)


def test_an_idempotency_key_is_its_tenants_own(neighbours):
    """The same key with the same body, from two tenants: each is answered for itself."""
    claims = []
    for world in (neighbours.mine, neighbours.theirs):
        found = kept_answers.claim(world.scope, b"k" * 32, b"b" * 32, "req_1")
        assert isinstance(found, Claim), "another tenant's claim was found"
        with tenant_session(world.scope) as session:
            kept_answers.keep(session, found, "text/plain", str(world.scope.tenant_id).encode())
            session.commit()
        claims.append(found)
    for world in (neighbours.mine, neighbours.theirs):
        kept = kept_answers.claim(world.scope, b"k" * 32, b"b" * 32, "req_2")
        assert isinstance(kept, Kept)
        assert kept.body == str(world.scope.tenant_id).encode()


def test_a_claim_of_another_tenants_cannot_be_released_or_answered(neighbours):
    held = kept_answers.claim(neighbours.theirs.scope, b"k" * 32, b"b" * 32, "req_1")
    assert isinstance(held, Claim)
    forged = Claim(held.id, neighbours.mine.scope, held.request_id)
    kept_answers.release(forged)
    with tenant_session(neighbours.mine.scope) as session, pytest.raises(kept_answers.ClaimLost):
        kept_answers.keep(session, forged, "text/plain", b"forged")
    with pytest.raises(kept_answers.StillRunning):
        kept_answers.claim(neighbours.theirs.scope, b"k" * 32, b"b" * 32, "req_2")
