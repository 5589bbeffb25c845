"""What the demo prints: headings, steps with the time that each took, progress, tables."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_BAR = 24
_QUIET_SECONDS = 10.0
_INDENT = "    "
_WIDEST = 60


def heading(text: str) -> None:
    """Begin a part of the demo."""
    print(f"\n{text}\n{'─' * len(text)}", flush=True)


def say(text: str) -> None:
    """A line that belongs to the step above it."""
    print(_INDENT + text, flush=True)


def table(rows: Sequence[Sequence[str]], *, limit: int | None = None) -> None:
    """Rows in columns, the first row as the head; numbers to the right. `limit` is the most rows to show."""
    shown = [[_cut(cell) for cell in row] for row in (rows if limit is None else rows[: limit + 1])]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    right = [all(_is_figure(row[column]) for row in shown[1:]) for column in range(len(widths))]
    for number, row in enumerate(shown):
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        say("  ".join(cells).rstrip())
        if number == 0:
            say("  ".join("─" * width for width in widths))
    if len(shown) < len(rows):
        say(f"… and {len(rows) - len(shown)} more")


def _cut(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else cell[: _WIDEST - 1] + "…"


def _is_figure(cell: str) -> bool:
    return not cell or cell in "–—" or cell.lstrip("-$€").startswith(tuple("0123456789"))


@contextmanager
def step(title: str) -> Iterator["Step"]:
    """A step of the demo; its line is closed with the time that the block took."""
    running = Step(title)
    running.begin()
    yield running
    running.end()


class Step:
    """A step under way. `note` is what its line says in the end."""

    def __init__(self, title: str) -> None:
        self.note = ""
        self._title = title
        self._started = time.monotonic()
        self._told_at = self._started
        self._is_live = sys.stdout.isatty()

    def begin(self) -> None:
        if self._is_live:
            self._overwrite(f"  … {self._title}")

    def progress(self, share: float | None, what: str) -> None:
        """Show how far the step is (0 to 1, None while nobody knows) and what it does at the moment.

        On a terminal the line changes in place; elsewhere there is a line every ten seconds.
        """
        if share is None:
            line = f"  … {self._title}: {what}"
        else:
            filled = round(_BAR * share)
            line = f"  … {self._title} {'█' * filled}{'░' * (_BAR - filled)} {share:4.0%} {what}"
        if self._is_live:
            self._overwrite(line)
        elif time.monotonic() - self._told_at >= _QUIET_SECONDS:
            self._told_at = time.monotonic()
            print(line, flush=True)

    def end(self) -> None:
        if self._is_live:
            self._overwrite("")
        words = f"{self._title}: {self.note}" if self.note else self._title
        print(f"  ✓ {words}  ({time.monotonic() - self._started:.1f} s)", flush=True)

    def _overwrite(self, line: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        print("\r" + line[:width].ljust(width), end="\r", flush=True)
