"""How to call a model, in words that a shell and Python understand."""

import json
import shlex

from core.config import get_settings

EXAMPLE_TEXT = "Where is my order? It was due on Monday."


def curl_call(model_name: str, text: str = EXAMPLE_TEXT) -> str:
    """A shell command that classifies `text`; the key comes from the environment, not the history."""
    body = json.dumps({"model": model_name, "input": text}, ensure_ascii=False)
    return (
        f"curl {shlex.quote(get_settings().api_url + '/v1/classify')} \\\n"
        '  -H "Authorization: Bearer $ADAPTARY_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(body)}"
    )


def python_call(model_name: str, text: str = EXAMPLE_TEXT) -> str:
    """A Python program that does the same with httpx."""
    return f"""import os

import httpx

response = httpx.post(
    {json.dumps(get_settings().api_url + "/v1/classify")},
    headers={{"Authorization": f"Bearer {{os.environ['ADAPTARY_API_KEY']}}"}},
    json={{"model": {json.dumps(model_name)}, "input": [{json.dumps(text, ensure_ascii=False)}]}},
)
response.raise_for_status()
print(response.json())"""
