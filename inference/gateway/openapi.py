"""The OpenAPI 3.1 document, made of the routes and of the schemas that check what goes through them."""

import inspect
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Literal

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from core.config import get_settings
from inference.gateway.access import Access
from inference.gateway.describe import JSON, Description
from inference.gateway.request_id import HEADER
from inference.gateway.schemas.errors import ErrorAnswer

PATH = "/v1/openapi.json"
VERSION = "1.0.0"

_REF = "#/components/schemas/{model}"
_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
_METHODS = ("get", "post", "put", "patch", "delete")
_ALWAYS = (500,)
_WITH_KEY = (401, 402, 403, 429, 503)
_WITH_BODY = (400, 413)

Mode = Literal["validation", "serialization"]
Schema = type[BaseModel]
Refs = Mapping[tuple[Any, Mode], dict[str, Any]]


def document(app: Flask) -> dict[str, Any]:
    """The document of `app`'s routes, as JSON."""
    described = [(rule, description) for rule in app.url_map.iter_rules() if (description := _of(app, rule))]
    refs, components = _schemas([description for _, description in described])
    paths: dict[str, dict[str, Any]] = {}
    for rule, description in described:
        path = _ARGUMENT.sub(r"{\1}", rule.rule)
        for method in _METHODS:
            if method.upper() in (rule.methods or ()):
                paths.setdefault(path, {})[method] = _operation(app, rule, description, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Adaptary",
            "version": VERSION,
            "description": "Fine-tuned models by API. OpenAI's client works with the base URL ending in `/v1`.",
        },
        "servers": [{"url": get_settings().api_url}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "ad_live_…"}},
        },
    }


def _of(app: Flask, rule: Rule) -> Description | None:
    description: Description | None = getattr(app.view_functions[rule.endpoint], "description", None)
    return description


def _schemas(descriptions: list[Description]) -> tuple[Refs, dict[str, Any]]:
    """A reference to each schema that is used, and the schemas themselves by name."""
    used: dict[tuple[Schema, Mode], None] = {(ErrorAnswer, "serialization"): None}
    for it in descriptions:
        used.update({(schema, "validation"): None for schema in (it.body, it.form, it.query) if schema})
        answers = [*it.also.values(), *([it.answer] if it.answer else [])]
        used.update({(schema, "serialization"): None for schema in answers})
    refs, definitions = models_json_schema(list(used), ref_template=_REF)
    return refs, definitions["$defs"]


def _operation(app: Flask, rule: Rule, it: Description, refs: Refs) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    access: Access = vars(view)["access"]
    summary, _, detail = (inspect.getdoc(view) or "").partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": " ".join(summary.split()),
        "parameters": [*_path_parameters(rule), *_query_parameters(it)],
        "responses": {
            str(status): body for status, body in sorted(_responses(rule, it, access, refs).items())
        },
        "security": [] if access.public else [{"key": []}],
    }
    if detail:
        operation["description"] = " ".join(detail.split())
    if content := _request_content(it, refs):
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _request_content(it: Description, refs: Refs) -> dict[str, Any]:
    content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in it.body_media}
    for schema, media in ((it.body, JSON), (it.form, "multipart/form-data")):
        if schema is not None:
            content[media] = {"schema": refs[schema, "validation"]}
    return content


def _path_parameters(rule: Rule) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(it: Description) -> Iterator[dict[str, Any]]:
    if it.query is None:
        return
    schema = it.query.model_json_schema(ref_template=_REF)
    for name, value in schema["properties"].items():
        yield {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": value}


def _responses(rule: Rule, it: Description, access: Access, refs: Refs) -> dict[int, dict[str, Any]]:
    content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in it.media}
    if it.answer is not None:
        content[JSON] = {"schema": refs[it.answer, "serialization"]}
    statuses = {*_ALWAYS, *it.errors}
    statuses |= set() if access.public else set(_WITH_KEY)
    statuses |= {404} if rule.arguments else set()
    statuses |= set(_WITH_BODY) if it.body or it.form else set()
    error = {JSON: {"schema": refs[ErrorAnswer, "serialization"]}}
    also = {
        status: _response(status, {JSON: {"schema": refs[schema, "serialization"]}})
        for status, schema in it.also.items()
    }
    return (
        {status: _response(status, error) for status in statuses}
        | also
        | {it.status: _response(it.status, content)}
    )


def _response(status: int, content: Mapping[str, Any]) -> dict[str, Any]:
    header = {"schema": {"type": "string"}, "description": "The request's id in the ledger and in the logs."}
    return {"description": HTTPStatus(status).phrase, "content": dict(content), "headers": {HEADER: header}}
