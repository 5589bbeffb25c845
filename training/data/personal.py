"""Personal data in a data set: replaced in its rows, and summed up for its owner without being shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.privacy.detect import Detector
from core.privacy.entities import DEFAULT_POLICY
from core.privacy.pseudonymise import Pseudonymiser, privacy_key
from core.privacy.report import FindingsReport
from core.privacy.types import Finding, Policy
from core.storage import TenantKey


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
            Protected(text, self._pseudonymiser.replace(text, findings), findings)
            for text, findings in zip(texts, found, strict=True)
        ]

    def texts(self, texts: Sequence[str]) -> list[str]:
        """`texts` with what is personal in them replaced."""
        return [protected.text for protected in self.protect(texts)]


def for_display(key: TenantKey, policy: Policy) -> Protector:
    """What protects the texts in reports, which are kept outside the encrypted blobs: never off."""
    return Protector(key, policy if policy.enabled else DEFAULT_POLICY)


class Summary:
    """Counts what a protector finds, row by row, with a few masked examples of each kind."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._found = FindingsReport()

    def add(self, numbers: Sequence[int], rows: Sequence[Protected]) -> None:
        """Take in rows, with their numbers in the file."""
        for number, row in zip(numbers, rows, strict=True):
            self._found.add(number, row.original, row.findings)

    def to_json(self, rows: int) -> dict[str, Any]:
        """The summary; `rows` is how many there are in all, of which some may have been looked at only."""
        found = self._found.as_dict()
        return {
            "policy_version": self._policy.version,
            "enabled": self._policy.enabled,
            "rows": rows,
            "rows_checked": found["rows"],
            "rows_with": found["rows_with_findings"],
            "entities": found["entities"],
        }
