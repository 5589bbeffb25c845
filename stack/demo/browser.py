"""A person at the portal: an HTTP client that keeps cookies, fills in forms and follows their answers."""

from collections.abc import Callable
from io import BytesIO
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from stack.demo.pages import Element, Form, form_of, parse

TIMEOUT = httpx.Timeout(120, connect=10)


class DemoFailed(Exception):
    """The portal or the API answered something else than the demo needs; the message says what."""


class Page:
    """What came back: where it is, and its tree."""

    def __init__(self, response: httpx.Response) -> None:
        self.url = str(response.url)
        self.status = response.status_code
        self.root: Element = parse(response.text)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def address(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def element(self, tag: str | None = None, **attributes: str | None) -> Element:
        """The first such element. Raises DemoFailed where the page has none."""
        found = self.root.find(tag, **attributes)
        if found is None:
            raise DemoFailed(f"{self.path} has no {tag or 'element'} with {attributes}. {self.complaint()}")
        return found

    def form(self, *, action: str = "", having: str = "") -> Form:
        """The first form whose address ends in `action`, with a field called `having`. Raises DemoFailed."""
        form = self.find_form(action, having)
        if form is None:
            raise DemoFailed(f"{self.path} has no form for {action or having}. {self.complaint()}")
        return form

    def find_form(self, action: str = "", having: str = "") -> Form | None:
        """The same form, where the page may have none."""
        for element in self.root.find_all("form"):
            form = form_of(element)
            target = urlsplit(urljoin(self.url, form.action)).path
            if target.endswith(action) and (not having or having in form):
                return form
        return None

    def link(self, *, prefix: str = "", suffix: str = "", text: str = "") -> str | None:
        """The path of the first link that begins, ends and reads so."""
        for anchor in self.root.find_all("a", href=None):
            path = urlsplit(anchor.attributes["href"]).path
            if path.startswith(prefix) and path.endswith(suffix) and text in anchor.text:
                return path
        return None

    def link_to(self, text: str) -> str:
        """The address of the first link that reads so. Raises DemoFailed."""
        for anchor in self.root.find_all("a", href=None):
            if anchor.text == text:
                return anchor.attributes["href"]
        raise DemoFailed(f"{self.path} has no link “{text}”. {self.complaint()}")

    @property
    def status_word(self) -> str:
        """The status in the page's head, in lower case: “training”, “ready”."""
        badge = self.element("header", class_="page-header").find("span", class_="badge")
        return badge.text.lower() if badge else ""

    def badge(self) -> str:
        """The first status on the page, wherever it stands."""
        return self.element("span", class_="badge").text.lower()

    def progress(self) -> tuple[float | None, str]:
        """How far the work that the page shows is, from 0 to 1 where that is known, and what it is at."""
        field = self.root.find("div", class_="progress-field")
        bar = field.find("progress") if field else None
        if field is None or bar is None:
            return None, ""
        value = bar.attributes.get("value")
        return (float(value) if value else None), field.text

    def tiles(self) -> list[tuple[str, str]]:
        """The tiles' labels and values."""
        found = []
        for tile in self.root.find_all(class_="tile"):
            label, value = tile.find(class_="tile-label"), tile.find(class_="tile-value")
            if label and value:
                found.append((label.text, value.text))
        return found

    def find_table(self, caption: str) -> list[list[str]] | None:
        """The rows of the first table whose caption begins so, its head among them."""
        for table in self.root.find_all("table"):
            title = table.find("caption")
            if title is not None and title.text.startswith(caption):
                return table.rows()
        return None

    def complaint(self) -> str:
        """What the page says went wrong: its alerts and the errors beside its fields."""
        marked = [element for element in self.root if element.attributes.get("role") == "alert"]
        marked += [
            element for element in self.root if "field-error" in element.attributes.get("class", "").split()
        ]
        heading = self.root.find("h1")
        said = [element.text for element in marked if element.text]
        return " ".join(said) or (f"It is headed: {heading.text}" if heading else "")


class _Heard(BytesIO):
    """A file that tells how far it has been read."""

    def __init__(self, content: bytes, told: Callable[[int], None]) -> None:
        super().__init__(content)
        self._told = told

    def read(self, size: int | None = -1) -> bytes:
        chunk = super().read(size)
        self._told(self.tell())
        return chunk


class Browser:
    """One person's session with the portal at `base_url`."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.Client(
            base_url=base_url, follow_redirects=True, timeout=TIMEOUT, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def open(self, path: str) -> Page:
        """Get a page. Raises DemoFailed for anything but success."""
        return self._page(self._client.get(path))

    def download(self, path: str) -> httpx.Response:
        """Get a file."""
        response = self._client.get(path)
        if response.status_code != httpx.codes.OK:
            raise DemoFailed(f"GET {path} answered {response.status_code}.")
        return response

    def submit(self, page: Page, form: Form, **values: str) -> Page:
        """Send a form as `page` shows it, changed by `values`, and follow the answer."""
        fields = {**form.values, **values}
        target = urljoin(page.url, form.action)
        if form.method == "get":
            return self._page(self._client.get(target, params=fields))
        return self._page(self._client.post(target, data=fields, headers={"Referer": page.url}))

    def upload(
        self,
        page: Page,
        form: Form,
        field: str,
        filename: str,
        content: bytes,
        told: Callable[[int], None],
        /,
        **values: str,
    ) -> Page:
        """Send a form with a file; `told` hears how many bytes of it have left."""
        response = self._client.post(
            urljoin(page.url, form.action),
            data={**form.values, **values},
            files={field: (filename, _Heard(content, told), "text/csv")},
            headers={"Referer": page.url},
        )
        return self._page(response)

    def _page(self, response: httpx.Response) -> Page:
        page = Page(response)
        if not response.is_success:
            request = response.request
            raise DemoFailed(
                f"{request.method} {request.url.path} answered {response.status_code}. {page.complaint()}"
            )
        return page
