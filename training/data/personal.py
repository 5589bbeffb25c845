"""Personal data in a data set: replaced in its rows, and summed up for its owner without being shown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.privacy.detect import Detector
from core.privacy.entities import DEFAULT_POLICY, ENTITIES
from core.privacy.pseudonymise import Pseudonymiser, privacy_key
from core.privacy.types import Finding, Policy
from core.storage import TenantKey

EXAMPLES = 5
_AROUND = 50
_MASK = "▒"
_LONGEST_MASK = 12


@dataclass(frozen=True, slots=True)
class Protected:
    """A text as it came and as it is kept, and what was found in it."""

    original: str
    text: str
    findings: Sequence[Finding]


class Protector:
    """Replaces personal data as a tenant's policy says; where that is off, texts stay as they are."""

    def __init__(self, key: TenantKey, policy: Policy) -> None:
        self.policy = policy
        self._detector = Detector(policy)
        self._pseudonymiser = Pseudonymiser(privacy_key(key), policy)

    def protect(self, texts: Sequence[str]) -> list[Protected]:
        if not self.policy.enabled:
            return [Protected(text, text, ()) for text in texts]
        found = self._detector.detect(texts)
        return [
            Protected(text, self.replace(text, findings), findings)
            for text, findings in zip(texts, found, strict=True)
        ]

    def replace(self, text: str, findings: Sequence[Finding]) -> str:
        return self._pseudonymiser.replace(text, findings)

    def texts(self, texts: Sequence[str]) -> list[str]:
        """`texts` with what is personal in them replaced."""
        return [protected.text for protected in self.protect(texts)]


def for_display(key: TenantKey, policy: Policy) -> Protector:
    """What protects the texts in reports, which are kept outside the encrypted blobs: never off."""
    return Protector(key, policy if policy.enabled else DEFAULT_POLICY)


class Summary:
    """Counts what a protector finds, with a few examples of each kind in which the original is masked."""

    def __init__(self, protector: Protector) -> None:
        self._protector = protector
        self._rows = 0
        self._rows_with = 0
        self._counts: Counter[str] = Counter()
        self._row_counts: Counter[str] = Counter()
        self._examples: dict[str, list[dict[str, Any]]] = {}

    def add(self, numbers: Sequence[int], rows: Sequence[Protected]) -> None:
        """Take in rows, with their numbers in the file."""
        for number, row in zip(numbers, rows, strict=True):
            self._rows += 1
            self._rows_with += bool(row.findings)
            self._counts.update(finding.entity for finding in row.findings)
            for entity in sorted({finding.entity for finding in row.findings}):
                self._row_counts[entity] += 1
                examples = self._examples.setdefault(entity, [])
                if len(examples) < EXAMPLES:
                    examples.append({"row": number, **self._example(row, entity)})

    def _example(self, row: Protected, entity: str) -> dict[str, str]:
        """What surrounds the first `entity` in `row`, before (masked) and after."""
        first = next(finding for finding in row.findings if finding.entity == entity)
        start, end = max(0, first.start - _AROUND), first.end + _AROUND
        inside = [finding for finding in row.findings if finding.end > start and finding.start < end]
        # Nothing that was found is cut in two, or a part of it would not be masked.
        start = min([start, *(finding.start for finding in inside)])
        end = min(len(row.original), max([end, *(finding.end for finding in inside)]))
        stretch = row.original[start:end]
        shifted = [
            Finding(finding.start - start, finding.end - start, finding.entity, finding.score)
            for finding in inside
        ]
        left, right = "…" if start else "", "…" if end < len(row.original) else ""
        return {
            "before": left + _one_line(_masked(stretch, shifted)) + right,
            "after": left + _one_line(self._protector.replace(stretch, shifted)) + right,
        }

    def to_json(self, rows: int) -> dict[str, Any]:
        """The summary; `rows` is how many there are in all, of which some may have been looked at only."""
        titles = {entity.name: entity.title for entity in ENTITIES}
        return {
            "policy_version": self._protector.policy.version,
            "enabled": self._protector.policy.enabled,
            "rows": rows,
            "rows_checked": self._rows,
            "rows_with": self._rows_with,
            "entities": [
                {
                    "entity": entity,
                    "title": titles.get(entity, entity),
                    "count": count,
                    "rows": self._row_counts[entity],
                    "examples": self._examples[entity],
                }
                for entity, count in self._counts.most_common()
            ],
        }


def _masked(text: str, findings: Sequence[Finding]) -> str:
    parts, position = [], 0
    for finding in sorted(findings, key=lambda finding: finding.start):
        parts += [text[position : finding.start], _MASK * min(finding.end - finding.start, _LONGEST_MASK)]
        position = max(position, finding.end)
    return "".join([*parts, text[position:]])


def _one_line(text: str) -> str:
    return " ".join(text.split())
