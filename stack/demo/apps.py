"""A tenant's app: gets a key from the portal once, then calls the API with it."""

from typing import Any

import httpx

from core.catalogue import Task
from stack.demo.browser import TIMEOUT, Browser, DemoFailed
from stack.demo.console import say, step, table
from stack.demo.memory import Memory
from stack.demo.stories import Story


def get_key(browser: Browser, story: Story, memory: Memory) -> str:
    """The app's API key: the one that an earlier run noted, or a new one, which the portal shows once."""
    if story.email not in memory.keys:
        with step(f"Makes an API key for its app “{story.app}”") as making:
            page = browser.open("/keys")
            answer = browser.submit(page, page.form(having="name"), name=story.app)
            key = answer.element(id="api-key").text
            memory.keys[story.email] = key
            memory.save()
            making.note = f"{key[:12]}…, shown once"
    return memory.keys[story.email]


def call_model(api_url: str, key: str, story: Story) -> None:
    """Send the story's requests to its model, and print what came back."""
    if story.task is Task.CHAT:
        _hold_conversations(api_url, key, story)
    else:
        _classify_texts(api_url, key, story)


def _classify_texts(api_url: str, key: str, story: Story) -> None:
    answers = [["text", "label", "score", "tokens"]]
    with step(f"The app calls POST {api_url}/v1/classify") as calling:
        for texts in story.requests:
            body = post(api_url, key, "/v1/classify", {"model": story.model, "input": list(texts)})
            for text, result in zip(texts, body["results"], strict=True):
                answers.append([text, result["label"], f"{result['score']:.3f}", str(result["tokens"])])
        calling.note = f"{len(story.requests)} requests, the last one is {body['request_id']}"
    table(answers)


def _hold_conversations(api_url: str, key: str, story: Story) -> None:
    """Ask the story's questions, each conversation with what was said before in it."""
    said: list[str] = []
    with step(f"The app calls POST {api_url}/v1/chat/completions") as calling:
        read = written = 0
        for questions in story.requests:
            messages = [{"role": "system", "content": story.system}]
            for question in questions:
                messages.append({"role": "user", "content": question})
                body = {"model": story.model, "messages": messages, "temperature": 0}
                answer = post(api_url, key, "/v1/chat/completions", body)
                messages.append(answer["choices"][0]["message"])
                read += answer["usage"]["prompt_tokens"]
                written += answer["usage"]["completion_tokens"]
                said += [f"customer:  {question}", f"assistant: {messages[-1]['content']}"]
        calling.note = f"{read} tokens read, {written} written"
    for line in said:
        say(line)


def post(api_url: str, key: str, path: str, body: dict[str, Any]) -> Any:
    """The API's answer to `body`. Raises DemoFailed where it refuses."""
    response = httpx.post(
        f"{api_url}{path}",
        headers={"Authorization": f"Bearer {key}"},
        json=body,
        timeout=TIMEOUT,
        trust_env=False,
    )
    if response.status_code != httpx.codes.OK:
        raise DemoFailed(f"The API answered {response.status_code}: {response.text}")
    return response.json()
