"""Every identifier in every path of the portal and the API, swapped with another tenant's.

Paths come from the apps' own maps. The answer is 404, and the same as for an identifier that is nowhere: status,
headers, text, SQL statements and Redis commands.
"""

from collections.abc import Iterator, Mapping
from itertools import product

import pytest

from tests.isolation.swaps import ask, difference, is_a_tenants, nowhere_like, spelled
from tests.test_routes import METHODS, OTHER_ARGUMENTS, access_of

OWN_IS_NOT_FOUND = {
    "datasets.columns": "the world's version is ready, and there are no columns to choose any more",
    "exports.download": "the world's export has failed, and there is no archive",
    "invoices.line": "no usage is behind the world's line",
    "invoices.line_day": "the same",
    "invoices.line_csv": "the same",
}
"""Routes on which the caller's own objects are not found either, and why."""


def paths(
    app, mine: Mapping[str, object], theirs: Mapping[str, object]
) -> Iterator[tuple[str, str, object, object, str, str]]:
    """(endpoint, method, their id, one that is nowhere, path with theirs, path with that one)."""
    build = app.url_map.bind("localhost").build
    for rule in app.url_map.iter_rules():
        named = sorted(rule.arguments & theirs.keys())
        if not is_a_tenants(access_of(app, rule)):
            continue
        unknown = rule.arguments - theirs.keys() - OTHER_ARGUMENTS.keys()
        assert not unknown, f"{rule.endpoint}: tests/world.py has no {', '.join(unknown)}"
        fixed = {name: value for name, value in OTHER_ARGUMENTS.items() if name in rule.arguments}
        own = {name: mine[name] for name in named}
        for method, name in product((*METHODS, "HEAD"), named):
            if method in rule.methods:
                other, nowhere = theirs[name], nowhere_like(theirs[name])
                for one, none in zip(spelled(other), spelled(nowhere), strict=True):
                    yield (
                        rule.endpoint,
                        method,
                        one,
                        none,
                        build(rule.endpoint, {**fixed, **own, name: one}),
                        build(rule.endpoint, {**fixed, **own, name: none}),
                    )


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "part of a page"])
def test_a_page_of_another_tenants_object_is_one_that_there_is_not(portal, neighbours, headers):
    client = neighbours.admin.client
    ask(client, "GET", "/", "", headers=headers)  # the first one makes connections, too
    tried = set()
    for endpoint, method, theirs, nowhere, path, no_path in paths(
        portal, neighbours.mine.arguments, neighbours.theirs.arguments
    ):
        expected = ask(client, method, no_path, nowhere, headers=headers)
        found = ask(client, method, path, theirs, headers=headers)
        assert found.status == 404, f"{method} {path}: {found.status}"
        assert not difference(found, expected), f"{method} {path}: {difference(found, expected)}"
        tried.add(endpoint)
    assert len(tried) > 20


@pytest.mark.usefixtures("untouched")
def test_to_the_api_another_tenants_object_is_one_that_there_is_not(api, neighbours, headers):
    client = api.test_client()
    ask(client, "GET", "/v1/models", "", headers=headers)  # the first one makes connections, too
    body = {"inputs": "text", "messages": [{"role": "user", "content": "text"}]}
    tried = set()
    for endpoint, method, theirs, nowhere, path, no_path in paths(
        api, neighbours.mine.arguments, neighbours.theirs.arguments
    ):
        options = {"headers": headers, "json": body if endpoint.startswith("huggingface.") else None}
        if endpoint == "huggingface.run_pipeline":
            options["json"] = {"inputs": "text"}
        expected = ask(client, method, no_path, nowhere, **options)
        found = ask(client, method, path, theirs, **options)
        assert found.status == 404, f"{method} {path}: {found.status} {found.body}"
        assert not difference(found, expected), f"{method} {path}: {difference(found, expected)}"
        tried.add(endpoint)
    assert len(tried) > 10


def test_the_callers_own_objects_are_found(portal, api, neighbours, headers):
    """Without this, the tests above could pass because nothing is ever found."""
    mine = neighbours.mine.arguments
    for app, client, options in (
        (portal, neighbours.admin.client, {}),
        (api, api.test_client(), {"headers": headers}),
    ):
        for endpoint, method, _, _, path, _ in paths(app, mine, mine):
            if method == "GET" and endpoint not in OWN_IS_NOT_FOUND and str(path) == path.lower():
                assert ask(client, method, path, "", **options).status < 400, path
