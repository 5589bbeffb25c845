"""Requests as they come over the wire: forms with brackets, and for version 2 JSON."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit


def read_params(method: str, url: str, body: Any) -> dict[str, Any]:
    """A request's parameters, nested but untyped."""
    if method == "post":
        text = body.decode() if isinstance(body, bytes) else body or ""
        if text.startswith("{"):
            parsed: dict[str, Any] = json.loads(text)
            return parsed
    else:
        text = urlsplit(url).query
    return nest(parse_qsl(text, keep_blank_values=True))


def nest(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`[("recurring[interval]", "month")]` as `{"recurring": {"interval": "month"}}`."""
    params: dict[str, Any] = {}
    for name, value in pairs:
        keys = re.findall(r"[^\[\]]+", name)
        inner = params
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        last = keys[-1]
        if name.endswith("[]"):
            inner = inner.setdefault(last, {})
            last = str(len(inner))
        inner[last] = value
    return params
