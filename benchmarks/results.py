"""What a benchmark finds: rows that compare us with a peer, as a table and as benchmarks/results.json."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison, both sides measured in one run.

    `ours` and `peer` are in `unit`; `ratio` is how many times better ours is (above 1 is better for us, whatever the
    unit), or None where there is nothing to divide. `peer` is None where there is no peer but an aim, which `setting`
    names with all else that the figures depend on.
    """

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    unit: str
    setting: str


def counted(number: int, noun: str) -> str:
    """The number and what it counts: 1 row, 8 rows."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show(rows: Sequence[Row]) -> None:
    """Print `rows` as a table."""
    cells = [("name", "ours", "peer", "ratio", "unit", "setting")]
    cells += [
        (row.name, _number(row.ours), _number(row.peer), _number(row.ratio), row.unit, row.setting)
        for row in rows
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    for row in cells:
        numbers = [
            text.ljust(width) if column in (0, 4) else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=False))
        ]
        print("  ".join([*numbers, row[-1]]), flush=True)


def keep(rows: Iterable[Row], file: Path = FILE) -> None:
    """Put `rows` into `file`, each in the place of an earlier one of its name."""
    known: dict[str, dict[str, Any]] = {}
    if file.exists():
        known = {row["name"]: row for row in json.loads(file.read_text(encoding="utf-8"))}
    known |= {row.name: asdict(row) for row in rows}
    ordered = [known[name] for name in sorted(known)]
    file.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
