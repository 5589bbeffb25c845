"""The OpenAPI document: it says all that the API does, and the API does nothing else."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import App
from tests.world import build_world

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 8
NOT_READY = "/readyz"  # says 503, since there is no pool


def test_every_route_is_described(api):
    silent = [name for name, view in api.view_functions.items() if not hasattr(view, "description")]
    assert silent == []


def test_every_operation_has_a_name_of_its_own_and_a_summary(api):
    document = api.test_client().get("/v1/openapi.json").json
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["summary"] for operation in operations)


@pytest.mark.parametrize("path", ["/v1/classify", "/v1/tag"])
def test_texts_may_come_as_a_table_with_the_model_in_the_query(api, path):
    operation = api.test_client().get("/v1/openapi.json").json["paths"][path]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "text/csv"}
    assert [one["name"] for one in operation["parameters"] if one["in"] == "query"] == ["model", "truncate"]


@pytest.fixture
def arguments(app: App):
    """Objects of the tenant's own, by the names of the arguments in paths."""
    return build_world(app.scope).arguments


@pytest.mark.parametrize("mode", GenerationMode)
def test_whatever_is_sent_the_answer_is_a_documented_one(api, app, arguments, mode):
    headers = {"Authorization": f"Bearer {app.key}"}
    schema = schemathesis.openapi.from_wsgi("/v1/openapi.json", api)
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.path == NOT_READY:
            continue

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(operation.as_strategy(generation_mode=mode))
        def call(case):
            case.call_and_validate(checks=CHECKS, headers=headers)
            own = {name: str(arguments[name]) for name in case.path_parameters or () if name in arguments}
            if own:
                case.path_parameters = {**case.path_parameters, **own}
                case.call_and_validate(checks=CHECKS, headers=headers)

        if _has_anything_of(operation, mode):
            call()


def _has_anything_of(operation: Any, mode: GenerationMode) -> bool:
    """Nothing can be wrong with a call that takes nothing."""
    return mode is GenerationMode.POSITIVE or bool(
        operation.body or operation.path_parameters or operation.query
    )
