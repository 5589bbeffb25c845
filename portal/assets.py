"""Static files as templates name them: icons drawn into the page, and addresses that change with the content."""

import re
from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Flask, url_for
from markupsafe import Markup

STATIC = Path(__file__).parent.parent / "static"
ICONS = STATIC / "vendor" / "lucide"


def icon_svg(name: str, classes: str = "") -> Markup:
    """Lucide's icon of that name as an SVG element, hidden from screen readers: the words beside it say it all.

    Raises LookupError for an icon that is not in static/vendor/lucide.
    """
    return Markup('<svg class="icon {}" ').format(classes) + _drawing(name)


@cache
def _drawing(name: str) -> Markup:
    path = ICONS / f"{name}.svg"
    if not path.is_file():
        raise LookupError(f"No icon {name}: copy it from the package lucide-static to static/vendor/lucide.")
    drawn = re.sub(r"^.*?<svg[^>]*>|</svg>\s*$|\n\s*", "", path.read_text(), flags=re.DOTALL)
    attributes = (
        'width="16" height="16" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
        'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"'
    )
    return Markup(f"{attributes}>{drawn}</svg>")  # noqa: S704  the drawings are files of ours


def asset_url(filename: str) -> str:
    """The address of a static file with a part of its digest: a new release is never answered from a cache."""
    return url_for("static", filename=filename, v=_version(filename))


@cache
def _version(filename: str) -> str:
    return sha256((STATIC / filename).read_bytes()).hexdigest()[:12]


def initials(name: str) -> str:
    """The first letters of the first and the last word: Ada Lovelace → AL."""
    words = name.split()
    letters = [word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)]
    return "".join(letters).upper() or "?"


def init_app(app: Flask) -> None:
    """Give templates and macros `icon_svg`, `asset_url` and the filter `initials`."""
    app.jinja_env.globals.update(icon_svg=icon_svg, asset_url=asset_url)
    app.jinja_env.filters["initials"] = initials
