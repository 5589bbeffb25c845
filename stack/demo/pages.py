"""A web page as a program reads it: its forms, its tables, and elements by tag and attributes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_BUTTONS = frozenset({"submit", "button", "image", "reset"})


@dataclass
class Element:
    """A tag with its attributes, and what is in it: elements and strings, in order."""

    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    def __iter__(self) -> Iterator["Element"]:
        """This element and all below it, in the order of the page."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child

    def find_all(self, tag: str | None = None, **attributes: str | None) -> list["Element"]:
        """The elements of that tag with these attributes (`data_step` is data-step; None: any value)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self
            if (tag is None or element.tag == tag)
            and all(
                name in element.attributes and value in (None, element.attributes[name])
                for name, value in wanted.items()
            )
        ]

    def find(self, tag: str | None = None, **attributes: str | None) -> "Element | None":
        """The first such element, if there is one."""
        return next(iter(self.find_all(tag, **attributes)), None)

    @property
    def text(self) -> str:
        """The text in it, with runs of white space made one space."""
        return " ".join("".join(self._strings()).split())

    def _strings(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.tag not in ("script", "style", "svg", "template"):
                yield " "
                yield from child._strings()
                yield " "

    def rows(self) -> list[list[str]]:
        """A table's rows, each a list of its cells' texts, the head among them."""
        return [
            [text for cell in row.find_all() if cell.tag in ("td", "th") for text in _texts_of(cell)]
            for row in self.find_all("tr")
        ]


def _texts_of(cell: Element) -> list[str]:
    """A cell's text, and an empty one for each further column that it stretches over."""
    return [cell.text, *[""] * (int(cell.attributes.get("colspan", "1")) - 1)]


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("document", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].tag == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Element:
    """The page's tree."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root


@dataclass(frozen=True)
class Form:
    """A form with the values that a browser would send if nobody touched it."""

    action: str
    method: str
    values: dict[str, str]
    choices: dict[str, list[str]]
    is_multipart: bool

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.choices


def form_of(element: Element) -> Form:
    """Read a <form>: hidden fields (the CSRF token is one), and what is filled in, chosen or ticked."""
    values: dict[str, str] = {}
    choices: dict[str, list[str]] = {}
    for control in element:
        name = control.attributes.get("name")
        if not name or "disabled" in control.attributes:
            continue
        kind = control.attributes.get("type", "text").lower()
        if control.tag == "textarea":
            values[name] = "".join(
                child for child in control.children if isinstance(child, str)
            ).removeprefix("\n")
        elif control.tag == "select":
            options = control.find_all("option")
            choices[name] = [_value(option) for option in options]
            chosen = next((option for option in options if "selected" in option.attributes), None)
            if chosen or options:
                values[name] = _value(chosen or options[0])
        elif control.tag == "input" and kind in ("checkbox", "radio"):
            choices.setdefault(name, []).append(control.attributes.get("value", "on"))
            if "checked" in control.attributes:
                values[name] = control.attributes.get("value", "on")
        elif control.tag == "input" and kind == "file":
            choices.setdefault(name, [])
        elif control.tag == "input" and kind not in _BUTTONS:
            values[name] = control.attributes.get("value", "")
    attributes = element.attributes
    return Form(
        action=attributes.get("action") or attributes.get("hx-post", ""),
        method=attributes.get("method", "post" if "hx-post" in attributes else "get").lower(),
        values=values,
        choices=choices,
        is_multipart=attributes.get("enctype", "") == "multipart/form-data",
    )


def _value(option: Element) -> str:
    return option.attributes.get("value", option.text)
