"""What was found in a dataset, in a form that may be stored and shown: counts and masked examples.

No value that was found is in it: before, it is masked, and after stands what the policy's operator puts there. What
stands around an example is the tenant's text, cut short, with every other finding in it reduced to its kind.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.privacy.entities import ENTITIES
from core.privacy.masks import mask
from core.privacy.types import Finding

MAX_EXAMPLES = 5
MAX_NOTED_ROWS = 500
_CONTEXT_CHARACTERS = 40


@dataclass(slots=True)
class _Kind:
    """What was found of one entity."""

    findings: int = 0
    rows: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    noted_rows: list[int] = field(default_factory=list)


class FindingsReport:
    """Collects findings row by row, in memory that does not grow with the rows.

    `replacement` tells what stands for a value of an entity.
    """

    def __init__(self, replacement: Callable[[str, str], str]) -> None:
        self._replacement = replacement
        self._rows = 0
        self._rows_with_findings = 0
        self._kinds: dict[str, _Kind] = {}

    def add(self, row: int, text: str, findings: Sequence[Finding]) -> None:
        """Count one text, which stands in row number `row` of the tenant's file."""
        self._rows += 1
        self._rows_with_findings += bool(findings)
        for entity, count in Counter(finding.entity for finding in findings).items():
            kind = self._kinds.setdefault(entity, _Kind())
            kind.findings += count
            kind.rows += 1
            if len(kind.noted_rows) < MAX_NOTED_ROWS:
                kind.noted_rows.append(row)
            if len(kind.examples) < MAX_EXAMPLES:
                # One example a row, so that one long text does not fill the list.
                chosen = next(finding for finding in findings if finding.entity == entity)
                kind.examples.append({"row": row, **self._example(text, chosen, findings)})

    def as_dict(self) -> dict[str, Any]:
        """For JSON: rows, rows_with_findings, findings, and `entities` in the catalogue's order.

        Each of these has its entity, title, findings, rows and up to MAX_EXAMPLES examples: the row's number, the
        text to the left, the masked value, what replaces it, and the text to the right.
        """
        return {
            "rows": self._rows,
            "rows_with_findings": self._rows_with_findings,
            "findings": sum(kind.findings for kind in self._kinds.values()),
            "entities": [
                {
                    "entity": entity.name,
                    "title": entity.title,
                    "findings": kind.findings,
                    "rows": kind.rows,
                    "examples": kind.examples,
                }
                for entity in ENTITIES
                if (kind := self._kinds.get(entity.name)) is not None
            ],
        }

    def noted_rows(self) -> dict[str, list[int]]:
        """For each entity the numbers of the first MAX_NOTED_ROWS rows in which it was found."""
        return {entity: list(kind.noted_rows) for entity, kind in self._kinds.items()}

    def _example(self, text: str, chosen: Finding, findings: Sequence[Finding]) -> dict[str, str]:
        before = [finding for finding in findings if finding.end <= chosen.start]
        behind = [finding for finding in findings if finding.start >= chosen.end]
        left = _reduced(text, 0, chosen.start, before)
        right = _reduced(text, chosen.end, len(text), behind)
        value = text[chosen.start : chosen.end]
        return {
            "left": _last_part(left),
            "value": mask(chosen.entity, value),
            "replacement": self._replacement(chosen.entity, value),
            "right": _first_part(right),
        }


def _reduced(text: str, start: int, end: int, findings: Sequence[Finding]) -> str:
    """Part of `text` on one line, with `findings` reduced to their kinds."""
    parts = []
    for finding in sorted(findings):
        parts += [text[start : finding.start], f"[{finding.entity}]"]
        start = finding.end
    return re.sub(r"\s+", " ", "".join([*parts, text[start:end]]))


def _first_part(text: str) -> str:
    return text if len(text) <= _CONTEXT_CHARACTERS else text[:_CONTEXT_CHARACTERS].rstrip() + "…"


def _last_part(text: str) -> str:
    return text if len(text) <= _CONTEXT_CHARACTERS else "…" + text[-_CONTEXT_CHARACTERS:].lstrip()
