"""Findings as a person corrected them, in every text in which the value stands."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.privacy.denied import find_denied
from core.privacy.entities import CUSTOM
from core.privacy.normalise import normalise
from core.privacy.placeholders import PLACEHOLDER_OR_ESCAPED
from core.privacy.spans import keep_apart
from core.privacy.types import Finding
from training.data.corrections import Correction


class Corrector:
    """Applies the corrections of one version, and counts which of them met their value.

    A value is told by its spelling, as a policy's lists do it, and not by its place: what is said of it in one row holds
    for every row. What stands on the policy's list of values that are always replaced (CUSTOM) stays: only the policy
    takes it off.
    """

    def __init__(self, corrections: Iterable[Correction] = ()) -> None:
        self._personal: dict[str, list[str]] = defaultdict(list)
        self._none: list[str] = []
        self._given = 0
        self._met: set[tuple[bool, str]] = set()
        self._none_of_kind: dict[str, dict[str, str]] = {}
        for one in corrections:
            self._given += 1
            if one.entity is None:
                self._none.append(one.value)
            else:
                self._personal[one.entity].append(one.value)

    @property
    def given(self) -> int:
        """How many corrections there are."""
        return self._given

    @property
    def met(self) -> int:
        """How many of them met their value so far."""
        return len(self._met)

    def apply(self, text: str, findings: Sequence[Finding]) -> list[Finding]:
        """The findings in `text` without those that are none, and with what is personal data besides.

        They stay apart from one another, and placeholders in the text are left alone.
        """
        kept = [finding for finding in findings if not self._is_none(text, finding)]
        added = [
            finding for kind, values in self._personal.items() for finding in self._find(text, kind, values)
        ]
        if not added:
            return kept
        placeholders = [match.span() for match in PLACEHOLDER_OR_ESCAPED.finditer(text)]
        return keep_apart(text, added, kept, placeholders)

    def _is_none(self, text: str, finding: Finding) -> bool:
        if not self._none or finding.entity == CUSTOM:
            return False
        # Each kind has a spelling of its own, which is made when the first of that kind is found.
        spellings = self._none_of_kind.get(finding.entity)
        if spellings is None:
            spellings = {normalise(finding.entity, value): normalise(CUSTOM, value) for value in self._none}
            self._none_of_kind[finding.entity] = spellings
        value = spellings.get(normalise(finding.entity, text[finding.start : finding.end]))
        if value is not None:
            self._met.add((False, value))
        return value is not None

    def _find(self, text: str, kind: str, values: Sequence[str]) -> list[Finding]:
        found = [replace(finding, entity=kind) for finding in find_denied(text, values)]
        self._met |= {(True, normalise(CUSTOM, text[one.start : one.end])) for one in found}
        return found
