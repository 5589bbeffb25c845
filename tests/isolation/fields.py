"""Where a request names things besides in its path: the portal's forms and queries, and the API's bodies and queries.

They are found in the code and in the OpenAPI document, so that a new one is known by being there.
"""

import ast
import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from flask_wtf import FlaskForm
from wtforms import Form, HiddenField, SelectField
from wtforms.fields.core import UnboundField

import portal.forms

ROOT = Path(__file__).parents[2]
_TENANTS_VIEWS = [path for path in (ROOT / "portal").rglob("*.py") if "operator" not in path.parts]


def choosing_fields() -> set[str]:
    """`Form.field` of every field of the portal's forms that is hidden, or whose choices are set at run time."""
    found = set()
    for module in pkgutil.walk_packages(portal.forms.__path__, "portal.forms."):
        for form in vars(import_module(module.name)).values():
            if isinstance(form, type) and issubclass(form, Form) and form not in (Form, FlaskForm):
                found |= {f"{form.__name__}.{name}" for name in dir(form) if _chooses(getattr(form, name))}
    return found


def _chooses(field: object) -> bool:
    if not isinstance(field, UnboundField):
        return False
    if issubclass(field.field_class, HiddenField):
        return True
    return issubclass(field.field_class, SelectField) and not field.kwargs.get("choices")


def query_names() -> set[str]:
    """The arguments of addresses that the portal's views read by themselves, without a form."""
    return {name for path in _TENANTS_VIEWS for name in _names_in(path)}


def _names_in(path: Path) -> Iterator[str]:
    """Of `request.args` in one module; the module itself where a name is not written out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case (
                ast.Call(
                    func=ast.Attribute(
                        value=ast.Attribute(value=ast.Name(id="request"), attr="args"), attr="get"
                    ),
                    args=[name, *_],
                )
                | ast.Subscript(value=ast.Attribute(value=ast.Name(id="request"), attr="args"), slice=name)
            ):
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value
                else:
                    yield path.relative_to(ROOT).as_posix()


def bodies_that_are_read_raw() -> set[str]:
    """Modules of the portal whose views read a body as JSON or as it is, rather than by a form."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in _TENANTS_VIEWS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "request"
        and node.attr in {"json", "get_json", "data", "get_data", "stream", "values", "cookies"}
    }


def api_fields(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """(operation, method, path, field) of every text that the API reads: of a body `body.…`, of a query `query.…`."""
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for parameter in operation["parameters"]:
                if parameter["in"] == "query" and [*_texts(parameter["schema"], schemas, ())]:
                    yield operation["operationId"], method, path, f"query.{parameter['name']}"
            for media in operation.get("requestBody", {}).get("content", {}).values():
                for field in dict.fromkeys(_texts(media["schema"], schemas, ())):
                    if field:
                        yield operation["operationId"], method, path, f"body.{field}"


def _texts(schema: Mapping[str, Any], schemas: Mapping[str, Any], within: tuple[str, ...]) -> Iterator[str]:
    """The places in a schema at which a text of the caller's own choosing may stand; lists do not count."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from _texts(schemas[name], schemas, within)
        return
    options = [option for key in ("anyOf", "oneOf", "allOf") for option in schema.get(key, ())]
    for option in options:
        yield from _texts(option, schemas, within)
    kind = schema.get("type")
    if kind == "object":
        for name, field in schema.get("properties", {}).items():
            yield from _texts(field, schemas, (*within, name))
        if isinstance(others := schema.get("additionalProperties"), Mapping):
            yield from _texts(others, schemas, (*within, "*"))
    elif kind == "array":
        yield from _texts(schema.get("items", {}), schemas, within)
    elif not options and not schema.keys() & {"enum", "const"} and kind in ("string", None):
        yield ".".join(within)
