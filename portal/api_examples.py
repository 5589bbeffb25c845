"""How to call the API, in programs that run as they stand: for a shell, for Python and for JavaScript.

The key comes from the environment variable ADAPTARY_API_KEY, never from the program. Python takes the openai package
where it has a method for the call; JavaScript takes what Node 18 and every browser have.
"""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from core.catalogue import DEFAULT_BASE_MODEL, Task
from core.config import get_settings

EXAMPLE_TEXT = "Where is my order? It was due on Monday."

_PATHS = {
    Task.CLASSIFICATION: "/v1/classify",
    Task.MULTI_LABEL: "/v1/classify",
    Task.TAGGING: "/v1/tag",
    Task.CHAT: "/v1/chat/completions",
}
_TRAINING, _REQUESTS = "training.jsonl", "requests.jsonl"


@dataclass(frozen=True, slots=True)
class Program:
    """One program: `language` is its heading, `name` its place on the page."""

    language: str
    name: str
    code: str


@dataclass(frozen=True, slots=True)
class Example:
    """The same call in each language; `name` is unique on the page."""

    name: str
    title: str
    text: str
    programs: tuple[Program, ...]


def call_example(model: str, task: Task, system: str = "") -> Example:
    """A model answers a text. `system` is what a chat model is told to be, if anything."""
    body: dict[str, Any] = {"model": model, "input": EXAMPLE_TEXT}
    if task is Task.CHAT:
        said = [{"role": "system", "content": system}] if system else []
        body = {"model": model, "messages": [*said, {"role": "user", "content": EXAMPLE_TEXT}]}
    python = _python_chat(body) if task is Task.CHAT else _python_post(_PATHS[task], body)
    return Example(
        "call",
        f"Call {model}",
        "Put one of your API keys into the environment variable ADAPTARY_API_KEY, then:",
        _programs("call", _curl_post(_PATHS[task], body), python, _javascript_post(_PATHS[task], body)),
    )


def embedding_example() -> Example:
    """Vectors of texts."""
    body = {"model": DEFAULT_BASE_MODEL, "input": [EXAMPLE_TEXT], "encoding_format": "float"}
    python = (
        _client()
        + f"""
made = client.embeddings.create(model={_quoted(DEFAULT_BASE_MODEL)}, input=[{_quoted(EXAMPLE_TEXT)}])
print(len(made.data[0].embedding), "numbers")"""
    )
    return Example(
        "embed",
        "Make vectors of texts",
        "For search and for grouping: texts that mean the same lie close together. No model of yours is needed.",
        _programs(
            "embed", _curl_post("/v1/embeddings", body), python, _javascript_post("/v1/embeddings", body)
        ),
    )


def training_example() -> Example:
    """A file becomes a model."""
    python = (
        _client("time")
        + f"""
file = client.files.create(file=open({_quoted(_TRAINING)}, "rb"), purpose="fine-tune")
job = client.fine_tuning.jobs.create(model={_quoted(DEFAULT_BASE_MODEL)}, training_file=file.id, suffix="support")
while job.status in ("validating_files", "queued", "running"):
    time.sleep(5)
    job = client.fine_tuning.jobs.retrieve(job.id)
print(job.status, job.fine_tuned_model, job.error)"""
    )
    fields = {"model": DEFAULT_BASE_MODEL, "training_file": "FILE_ID", "suffix": "support"}
    shell = (
        _curl_upload(_TRAINING, "fine-tune")
        + f"""

# with the id from its answer in the place of FILE_ID:
{_curl_post("/v1/fine_tuning/jobs", fields)}"""
    )
    script = _javascript_upload(_TRAINING, "fine-tune") + _javascript_send(
        "/v1/fine_tuning/jobs", fields, "training_file"
    )
    return Example(
        "train",
        "Train a model",
        'A file of JSON Lines such as {"text": "Where is my parcel?", "label": "delivery"}. The key must be one that '
        "may manage.",
        _programs("train", shell, python, script),
    )


def batch_example(model: str, task: Task) -> Example:
    """A file of requests is answered into another."""
    path = _PATHS[task]
    python = (
        _client("time")
        + f"""
file = client.files.create(file=open({_quoted(_REQUESTS)}, "rb"), purpose="batch")
batch = client.batches.create(input_file_id=file.id, endpoint={_quoted(path)}, completion_window="24h")
while batch.status in ("validating", "in_progress"):
    time.sleep(5)
    batch = client.batches.retrieve(batch.id)
    print(batch.request_counts)
if batch.output_file_id:
    print(client.files.content(batch.output_file_id).text)"""
    )
    fields = {"input_file_id": "FILE_ID", "endpoint": path, "completion_window": "24h"}
    shell = (
        _curl_upload(_REQUESTS, "batch")
        + f"""

# with the id from its answer in the place of FILE_ID:
{_curl_post("/v1/batches", fields)}"""
    )
    script = _javascript_upload(_REQUESTS, "batch") + _javascript_send("/v1/batches", fields, "input_file_id")
    body = {"model": model, "input": EXAMPLE_TEXT}
    if task is Task.CHAT:
        body = {"model": model, "messages": [{"role": "user", "content": EXAMPLE_TEXT}]}  # type: ignore[dict-item]
    line = json.dumps({"custom_id": "1", "method": "POST", "url": path, "body": body}, ensure_ascii=False)
    return Example(
        "batch",
        "Answer a file of requests",
        f"A line of the file is one request: {line} The key must be one that may manage.",
        _programs("batch", shell, python, script),
    )


def _programs(name: str, curl: str, python: str, javascript: str) -> tuple[Program, ...]:
    return (
        Program("curl", f"{name}-curl", curl),
        Program("Python", f"{name}-python", python),
        Program("JavaScript", f"{name}-javascript", javascript),
    )


def _address(path: str) -> str:
    return get_settings().api_url + path


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _curl_post(path: str, body: Any) -> str:
    return (
        f"curl {shlex.quote(_address(path))} \\\n"
        '  -H "Authorization: Bearer $ADAPTARY_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )


def _curl_upload(file: str, purpose: str) -> str:
    return (
        f"curl {shlex.quote(_address('/v1/files'))} \\\n"
        '  -H "Authorization: Bearer $ADAPTARY_API_KEY" \\\n'
        f"  -F purpose={purpose} -F file=@{file}"
    )


def _client(*imports: str) -> str:
    """The beginning of a program with the openai package."""
    modules = "\n".join(f"import {name}" for name in ("os", *imports))
    return f"""{modules}

from openai import OpenAI

client = OpenAI(base_url={_quoted(_address("/v1"))}, api_key=os.environ["ADAPTARY_API_KEY"])"""


def _python_chat(body: dict[str, Any]) -> str:
    messages = "\n".join(f"        {_quoted_object(message)}," for message in body["messages"])
    return (
        _client()
        + f"""
answer = client.chat.completions.create(
    model={_quoted(body["model"])},
    messages=[
{messages}
    ],
)
print(answer.choices[0].message.content)"""
    )


def _python_post(path: str, body: dict[str, Any]) -> str:
    return f"""import os

import httpx

response = httpx.post(
    {_quoted(_address(path))},
    headers={{"Authorization": f"Bearer {{os.environ['ADAPTARY_API_KEY']}}"}},
    json={_quoted_object(body)},
)
response.raise_for_status()
print(response.json())"""


def _quoted_object(value: dict[str, Any]) -> str:
    """JSON that is Python and JavaScript as well: of texts and lists of them alone."""
    return json.dumps(value, ensure_ascii=False)


def _javascript_post(path: str, body: dict[str, Any]) -> str:
    return f"""const response = await fetch({_quoted(_address(path))}, {{
  method: "POST",
  headers: {{
    Authorization: `Bearer ${{process.env.ADAPTARY_API_KEY}}`,
    "Content-Type": "application/json",
  }},
  body: JSON.stringify({_quoted_object(body)}),
}});
if (!response.ok) throw new Error(await response.text());
console.log(JSON.stringify(await response.json(), null, 2));"""


def _javascript_upload(file: str, purpose: str) -> str:
    return f"""import {{ readFile }} from "node:fs/promises";

const headers = {{ Authorization: `Bearer ${{process.env.ADAPTARY_API_KEY}}` }};
const ask = async (path, options) => {{
  const response = await fetch({_quoted(get_settings().api_url)} + path, options);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}};

const form = new FormData();
form.append("purpose", "{purpose}");
form.append("file", new Blob([await readFile("{file}")]), "{file}");
const {{ id }} = await ask("/v1/files", {{ method: "POST", headers, body: form }});
"""


def _javascript_send(path: str, body: dict[str, str], file_field: str) -> str:
    """What follows an upload: `body`, with the uploaded file's id in its field `file_field`."""
    fields = ", ".join(
        f"{name}: {'id' if name == file_field else _quoted(value)}" for name, value in body.items()
    )
    return f"""const made = await ask("{path}", {{
  method: "POST",
  headers: {{ ...headers, "Content-Type": "application/json" }},
  body: JSON.stringify({{ {fields} }}),
}});
console.log(made);"""
