"""How to call a model, in words that a shell and Python understand."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from core.catalogue import Task
from core.config import get_settings

EXAMPLE_TEXT = "Where is my order? It was due on Monday."

_PATHS = {
    Task.CLASSIFICATION: "/v1/classify",
    Task.MULTI_LABEL: "/v1/classify",
    Task.TAGGING: "/v1/tag",
    Task.CHAT: "/v1/chat/completions",
}


def curl_call(
    model_name: str, text: str = EXAMPLE_TEXT, task: Task = Task.CLASSIFICATION, system: str = ""
) -> str:
    """A shell command that has the model answer `text`; the key comes from the environment, not the history.

    `system` is what a chat model is told to be, if anything.
    """
    body = _chat(model_name, text, system) if task is Task.CHAT else {"model": model_name, "input": text}
    return (
        f"curl {shlex.quote(get_settings().api_url + _PATHS[task])} \\\n"
        '  -H "Authorization: Bearer $ADAPTARY_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )


def python_call(
    model_name: str, text: str = EXAMPLE_TEXT, task: Task = Task.CLASSIFICATION, system: str = ""
) -> str:
    """A Python program that does the same: with openai's client for a chat, with httpx for the others."""
    if task is Task.CHAT:
        said = _chat(model_name, text, system)["messages"]
        messages = "\n".join(f"        {json.dumps(message, ensure_ascii=False)}," for message in said)
        return f"""import os

from openai import OpenAI

client = OpenAI(base_url={json.dumps(get_settings().api_url + "/v1")}, api_key=os.environ["ADAPTARY_API_KEY"])
answer = client.chat.completions.create(
    model={json.dumps(model_name)},
    messages=[
{messages}
    ],
)
print(answer.choices[0].message.content)"""
    return f"""import os

import httpx

response = httpx.post(
    {json.dumps(get_settings().api_url + _PATHS[task])},
    headers={{"Authorization": f"Bearer {{os.environ['ADAPTARY_API_KEY']}}"}},
    json={{"model": {json.dumps(model_name)}, "input": [{json.dumps(text, ensure_ascii=False)}]}},
)
response.raise_for_status()
print(response.json())"""


def _chat(model_name: str, text: str, system: str) -> Mapping[str, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    return {"model": model_name, "messages": [*messages, {"role": "user", "content": text}]}
