"""What the planted values go through: every way in that a tenant has, and what goes wrong on it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import httpx

from core.waiting import wait_until
from stack.demo.accounts import sign_in
from stack.demo.browser import Browser, DemoFailed, Page
from stack.demo.memory import Login
from tests.canary.faults.sitecustomize import CRASH, HANG, POOL, RAISE, STREAM
from tests.canary.tenants import CLASSIFIER, PASSWORD, TAGGER
from tests.canary.values import Canary

BASE, CHAT_BASE = "all-minilm-l6-v2", "smollm2-135m-instruct"
LABELS = ("delivery", "refund")
MODEL = "planted"
_PATIENCE = 300
_AT_ONCE, _AT_ONCE_IN_A_CHAT = 50, 20


def told(value: str, number: int = 0) -> str:
    """A text with the value in it."""
    return f"Please tell {value} that parcel {number} is late"


class Story:
    """The tenant's admin at the portal and its app at the API, and the values that they send."""

    def __init__(self, portal: Browser, api: httpx.Client, canaries: Sequence[Canary]) -> None:
        self._portal = portal
        self._api = api
        self._values = [canary.value for canary in canaries]
        self._texts = [told(value, number) for number, value in enumerate(self._values)]

    def _names(self, count: int) -> list[str]:
        """Values that a file, a column or a key may be named by."""
        plain = (value for value in self._values if value.isascii() and value.replace(" ", "").isalpha())
        return list(islice(plain, count))

    def deny(self) -> None:
        """Have the policy replace the values, and nothing else: what is tested is where they go."""
        page = self._portal.open("/privacy")
        form = page.form(having="deny_list")
        del form.values["entities"]
        listed = "\n".join([*self._values, f"{STREAM} {self._values[0]}"])
        saved = self._portal.submit(page, form, deny_list=listed)
        assert "is in force" in saved.root.text, saved.complaint()

    def upload_tables(self) -> None:
        """A table is taken all the way to where models are trained on it; a file of JSON stays in review."""
        column, other, file, file_of_json = self._names(4)
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["text", "label", column, other])
        for text, value, label in zip(self._texts, self._values, cycle(LABELS)):
            writer.writerow([text, label, value, text.upper()])
        checked = self._check(self._upload(f"{file}.csv", table.getvalue().encode()))
        self._wait(self._portal.submit(checked, checked.form(action="/accept")), "importing")
        lines = self._json_lines(column)
        self._check(self._upload(f"{file_of_json}.jsonl", lines, dataset="In JSON"))

    def _json_lines(self, *keys: str) -> bytes:
        """Rows with more keys than are wanted, named by a value."""
        rows = [
            {"text": text, "label": label, **dict.fromkeys(keys, text)}
            for text, label in zip(self._texts, cycle(LABELS))
        ]
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    def _upload(self, filename: str, content: bytes, dataset: str = "") -> Page:
        page = self._portal.open("/datasets/new")
        form = page.form(having="file")
        return self._portal.upload(page, form, "file", filename, content, lambda _sent: None, name=dataset)

    def _check(self, page: Page) -> Page:
        return self._wait(self._portal.submit(page, page.form(action="/check")), "checking")

    def _wait(self, page: Page, *working: str) -> Page:
        shown = [page]

        def is_done() -> bool:
            shown[0] = self._portal.open(page.address)
            return shown[0].status_word not in working

        assert wait_until(is_done, _PATIENCE, 0.5), shown[0].status_word
        return shown[0]

    def upload_what_is_wrong(self) -> None:
        """Files that cannot be read, with values where they go wrong; each says so without them."""
        value = self._values[0]
        broken = {
            "one field too many": f"text,label\n{self._texts[0]},{value},{value},{value}\n",
            "a label as long as a text": f"text,label\n{self._texts[0]},{value * 20}\n{self._texts[1]},a\n",
            "a quote that is open": f'text,label\n"{self._texts[0]},a\n{self._texts[1]},b\n',
            "no JSON": f'{{"text": "{value}", "label": {value}}}\n',
            "no object": json.dumps([value]) + "\n",
            "no text": json.dumps({"text": {value: value}, "label": [value]}) + "\n",
        }
        for number, (name, content) in enumerate(broken.items()):
            kind = "jsonl" if content.startswith(("{", "[")) else "csv"
            assert value not in self._refusal(f"broken {number}.{kind}", content.encode(), name), name

    def _refusal(self, filename: str, content: bytes, dataset: str) -> str:
        """What the portal says of a file, at once or once it has looked at it."""
        try:
            return self._check(self._upload(filename, content, dataset)).complaint()
        except DemoFailed as refused:
            return str(refused)

    def predict(self) -> None:
        """All the values through every kind of prediction, as JSON and as a table."""
        for texts in _some(self._texts):
            self._post("/v1/classify", {"model": CLASSIFIER, "input": texts}, key="one")
            self._post("/v1/tag", {"model": TAGGER, "input": texts})
            self._post("/v1/embeddings", {"model": BASE, "input": texts})
            self._post("/v1/anonymize", {"input": texts})
            self._post(f"/hf/{CLASSIFIER}", {"inputs": texts})
            table = io.StringIO()
            csv.writer(table).writerows([["id", "text"], *enumerate(texts)])
            response = self._api.post(
                f"/v1/classify?model={CLASSIFIER}",
                content=table.getvalue().encode(),
                headers={"Content-Type": "text/csv", "Accept": "text/csv"},
            )
            assert response.status_code == 200, response.text

    def chat(self) -> None:
        """All the values through chats: whole ones and streams."""
        for number, texts in enumerate(_some(self._texts, _AT_ONCE_IN_A_CHAT)):
            body = {
                "model": CHAT_BASE,
                "max_tokens": 2,
                "messages": [
                    {"role": "system", "content": f"You know {self._values[number]}."},
                    {"role": "user", "content": ". ".join(texts)},
                ],
                "user": self._values[number],
                "metadata": {"who": self._values[number]},
                "stream": bool(number % 2),
            }
            self._post("/v1/chat/completions", body)

    def play(self) -> None:
        """The playground, with and without a script."""
        page = self._portal.open(f"/playground?model={CLASSIFIER}")
        self._portal.submit(page, page.form(having="text"), text=self._texts[0])

    def ask_wrongly(self) -> None:
        """Requests that are refused, with values in what is wrong with them; the answers hold none of them."""
        value, text = self._values[0], self._texts[0]
        bodies: Mapping[str, list[Any]] = {
            "/v1/classify": [
                f'{{"model": "{CLASSIFIER}", "input": "{value}',
                {"model": CLASSIFIER, "input": {value: value}},
                {"model": CLASSIFIER, "input": [text, 7, value]},
                {"model": CLASSIFIER, "input": [f"{value} " * 500]},
                {"model": CLASSIFIER, "input": text, "truncate": value},
                {"model": TAGGER, "input": text},
                {"model": CLASSIFIER, "input": [text] * 300},
            ],
            "/v1/embeddings": [{"model": BASE, "input": text, "encoding_format": value}],
            "/v1/chat/completions": [
                {"model": CHAT_BASE, "messages": [{"role": value, "content": text}]},
                {"model": CHAT_BASE, "messages": [{"role": "user", "content": {value: text}}]},
                {"model": CHAT_BASE, "messages": [{"role": "user", "content": f"{text} " * 4000}]},
                {"model": CHAT_BASE, "messages": text, "temperature": value},
            ],
            "/v1/fine_tuning/jobs": [{"model": BASE, "training_file": value}],
            "/v1/batches": [{"input_file_id": "x", "endpoint": value, "completion_window": value}],
        }
        for path, ones in bodies.items():
            for body in ones:
                response = self._api.post(
                    path,
                    content=body if isinstance(body, str) else json.dumps(body),
                    headers={"Content-Type": "application/json"},
                )
                assert 400 <= response.status_code < 500, (path, response.status_code)
                assert value not in response.text, (path, response.text)
        # In what they may name: a path, a query, a header, a key of the body, a model.
        self._api.get(f"/v1/models/{value}")
        self._api.get("/v1/files", params={"purpose": value, value: value})
        self._api.get(f"/{value}", headers={"Idempotency-Key": value, "User-Agent": value})
        self._api.post("/v1/classify", json={"model": value, "input": text, value: value})
        self._api.post(f"/hf/{value}", json={"inputs": text})
        self._api.post(
            "/v1/classify", json={"model": CLASSIFIER, "input": text}, headers={"Authorization": value}
        )

    def start_batches(self) -> list[str]:
        """Files of requests: answered, refused by a model, and refused whole for a key that no request has."""
        good = [
            self._line(value, "/v1/classify", {"model": CLASSIFIER, "input": text})
            for value, text in zip(self._values, self._texts, strict=True)
        ]
        good.append(self._line("wrong", "/v1/classify", {"model": self._values[1], "input": self._texts[1]}))
        wrong = {**json.loads(good[0]), self._names(1)[0]: self._texts[0]}
        chats = [
            self._line(
                value,
                "/v1/chat/completions",
                {"model": CHAT_BASE, "max_tokens": 2, "messages": [{"role": "user", "content": text}]},
            )
            for value, text in zip(self._values[:4], self._texts[:4], strict=True)
        ]
        started = []
        for endpoint, lines in (
            ("/v1/classify", good),
            ("/v1/classify", [json.dumps(wrong)]),
            ("/v1/chat/completions", chats),
        ):
            file = self.send_file("\n".join(lines).encode(), "batch")
            body = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"}
            started.append(self._post("/v1/batches", body)["id"])
        return started

    @staticmethod
    def _line(custom_id: str, url: str, body: object) -> str:
        return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})

    def send_file(self, content: bytes, purpose: str) -> str:
        """Upload a file that is named by a value."""
        files = {"file": (f"{self._names(5)[-1]}.jsonl", content, "application/jsonl")}
        response = self._api.post("/v1/files", files=files, data={"purpose": purpose})
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def start_fine_tune(self) -> str:
        """A model is trained on a file with the values."""
        file = self.send_file(self._json_lines(self._names(6)[-1]), "fine-tune")
        body = {"model": BASE, "training_file": file, "suffix": MODEL, "hyperparameters": {"n_epochs": 1}}
        return str(self._post("/v1/fine_tuning/jobs", body)["id"])

    def wait_for(self, path: str, *ended: str) -> Any:
        """What is at `path`, once its status is one of `ended`."""
        found: list[Any] = [None]

        def has_ended() -> bool:
            found[0] = self._api.get(path).json()
            return found[0]["status"] in ended

        assert wait_until(has_ended, _PATIENCE, 0.5), found
        return found[0]

    def crash(self) -> None:
        """Errors of our own, whose messages quote the text: in the detector, the pool, a stream, and past every handler."""
        text = self._texts[2]
        for fault in (RAISE, CRASH):
            self._fails("/v1/classify", {"model": CLASSIFIER, "input": f"{fault} {text}"})
            self._fails(
                "/v1/chat/completions",
                {"model": CHAT_BASE, "messages": [{"role": "user", "content": f"{fault} {text}"}]},
            )
        self._fails("/v1/classify", {"model": CLASSIFIER, "input": f"{POOL} {text}"})
        streamed = {
            "model": CHAT_BASE,
            "max_tokens": 8,
            "stream": True,
            "messages": [{"role": "user", "content": f"{STREAM} {self._values[0]} {text}"}],
        }
        self._api.post("/v1/chat/completions", json=streamed)

    def _fails(self, path: str, body: object) -> None:
        try:
            response = self._api.post(path, json=body)
        except httpx.TransportError:
            return  # cut off
        assert response.status_code >= 500, (path, response.status_code)
        assert not any(value in response.text for value in self._values), response.text

    def break_imports(self) -> None:
        """Start checks that fail in the worker, crash its process, and never end."""
        for fault in (RAISE, CRASH, HANG):
            content = f"text,label\n{fault} {self._texts[3]},a\n{self._texts[4]},b\n"
            page = self._upload(f"{fault}.csv", content.encode(), dataset=fault)
            self._portal.submit(page, page.form(action="/check"))

    def export(self) -> None:
        """Everything of the tenant's in one archive."""
        page = self._portal.open("/exports")
        self._portal.submit(page, page.form(action="/exports"))
        assert wait_until(
            lambda: self._portal.open("/exports").link(suffix="/download") is not None, _PATIENCE, 0.5
        )

    def pages_without_values(self) -> list[str]:
        """Where the tenant itself sees what came of its data: a fine-tune's evaluation, and the rows as they are stored."""
        evaluation = self._portal.open("/fine-tunes").link(prefix="/fine-tunes/", text=MODEL)
        dataset = self._portal.open("/datasets").link(prefix="/datasets/", text="[CUSTOM_")
        assert evaluation is not None
        assert dataset is not None
        version = self._portal.open(dataset).link(prefix="/datasets/versions/")
        return [evaluation, f"{version}/rows.csv"]

    def _post(self, path: str, body: object, key: str | None = None) -> Any:
        headers = {"Idempotency-Key": f"{key} {path} {hash(json.dumps(body))}"} if key else {}
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            answers.append(self._api.post(path, json=body, headers=headers))
            return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE  # which asks to come again

        wait_until(is_answered, _PATIENCE, 1)
        response = answers[-1]
        assert response.status_code == 200, f"{path}: {response.text}"
        return response.json() if "json" in response.headers["Content-Type"] else response.text


def enter(portal: Browser, email: str) -> None:
    sign_in(portal, Login(email, PASSWORD))


def _some(texts: Sequence[str], count: int = _AT_ONCE) -> Iterator[list[str]]:
    rest = iter(texts)
    while some := list(islice(rest, count)):
        yield some
