"""Personal data in a data set: replaced in its rows, and summed up for its owner without being shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from core.privacy.detect import Detector
from core.privacy.entities import DEFAULT_POLICY
from core.privacy.placeholders import escape
from core.privacy.pseudonymise import Pseudonymiser, privacy_key
from core.privacy.report import FindingsReport
from core.privacy.spans import shift
from core.privacy.types import Finding, Mode, Policy
from core.storage import TenantKey
from training.data.correcting import Corrector
from training.data.uploaded import UploadedRow

Row = TypeVar("Row", bound=UploadedRow)


@dataclass(frozen=True, slots=True)
class Protected:
    """A text as it came and as it is kept, and what was found in it."""

    original: str
    text: str
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class ProtectedRow(Generic[Row]):
    """A row as it is kept; its pieces as they came, as one text, and what was found in that."""

    row: Row
    original: str
    findings: Sequence[Finding]


class Protector:
    """Replaces personal data as a tenant's policy and a person's corrections say; where the policy is off, texts stay as
    they are."""

    def __init__(self, key: TenantKey, policy: Policy, corrector: Corrector | None = None) -> None:
        self.policy = policy
        self.corrector = corrector or Corrector()
        self._detector = Detector(policy, Mode.STRICT)
        self._pseudonymiser = Pseudonymiser(privacy_key(key), policy)

    def protect(self, texts: Sequence[str], rows: Sequence[int] | None = None) -> list[Protected]:
        """The texts with what is personal in them replaced; `rows` says of which row each is, as Detector.detect."""
        if not self.policy.enabled:
            return [Protected(text, text, ()) for text in texts]
        protected = []
        for text, found in zip(texts, self._detector.detect(texts, rows), strict=True):
            findings = self.corrector.apply(text, found)
            protected.append(Protected(text, self._pseudonymiser.replace(text, findings), findings))
        return protected

    def replacement(self, entity: str, value: str) -> str:
        """What stands for a value of the kind `entity`."""
        return self._pseudonymiser.replacement(entity, value)

    def protect_rows(self, rows: Sequence[Row]) -> "list[ProtectedRow[Row]]":
        """`rows` with what is personal in their pieces replaced; each word stays a word of its own."""
        pieces = [piece for row in rows for piece in row.pieces]
        numbers = [row.number for row in rows for _ in row.pieces]
        texts = self.protect([" ".join(piece) for piece in pieces], numbers)
        protected = iter(zip(pieces, texts, strict=True))
        result = []
        for row in rows:
            found = [next(protected) for _ in row.pieces]
            kept = row.with_pieces([self._words(piece, one) for piece, one in found])
            result.append(ProtectedRow(kept, *_joined([one for _, one in found])))
        return result

    def _words(self, words: tuple[str, ...], whole: Protected) -> tuple[str, ...]:
        """The words of `whole`, which they make with spaces between, each with what was found in it replaced.

        What reaches over several words is replaced in each of them: by its word of the replacement, or the last one.
        """
        if len(words) == 1:
            return (whole.text,)
        if not self.policy.enabled:
            return words
        result, start = [], 0
        for word in words:
            inside = [
                (max(one.start - start, 0), min(one.end - start, len(word)), max(start - one.start, 0), one)
                for one in whole.findings
                if one.start < start + len(word) and one.end > start
            ]
            parts, position = [], 0
            for first, last, before, one in inside:
                value = whole.original[one.start : one.end]
                replacement = self._pseudonymiser.replacement(one.entity, value).split()
                nth = min(value[:before].count(" "), len(replacement) - 1)
                parts += [escape(word[position:first]), replacement[nth]]
                position = last
            result.append("".join([*parts, escape(word[position:])]))
            start += len(word) + 1
        return tuple(result)

    def texts(self, texts: Sequence[str]) -> list[str]:
        """`texts` with what is personal in them replaced."""
        return [protected.text for protected in self.protect(texts)]


def _joined(pieces: Sequence[Protected]) -> tuple[str, Sequence[Finding]]:
    """The pieces of a row as one text, a line each, and their findings in it."""
    if len(pieces) == 1:
        return pieces[0].original, pieces[0].findings
    findings: list[Finding] = []
    start = 0
    for piece in pieces:
        findings += shift(list(piece.findings), start)
        start += len(piece.original) + 1
    return "\n".join(piece.original for piece in pieces), findings


def for_display(key: TenantKey, policy: Policy, corrector: Corrector | None = None) -> Protector:
    """What protects the texts in reports, which are kept outside the encrypted blobs: never off."""
    shown = policy if policy.enabled else replace(DEFAULT_POLICY, deny_list=policy.deny_list)
    return Protector(key, shown, corrector)


class Summary:
    """Counts what a protector finds, row by row, with a few masked examples of each kind."""

    def __init__(self, protector: Protector) -> None:
        self._protector = protector
        self._found = FindingsReport(protector.replacement)

    def add(self, rows: Sequence[ProtectedRow[Row]]) -> None:
        """Take in rows."""
        for one in rows:
            self._found.add(one.row.number, one.original, one.findings)

    def noted_rows(self) -> dict[str, list[int]]:
        """For each kind the numbers of the first rows in which it was found."""
        return self._found.noted_rows()

    def to_json(self, rows: int) -> dict[str, Any]:
        """The summary; `rows` is how many there are in all, of which some may have been looked at only."""
        found = self._found.as_dict()
        policy, corrector = self._protector.policy, self._protector.corrector
        return {
            "policy_version": policy.version,
            "enabled": policy.enabled,
            "corrections": {"given": corrector.given, "met": corrector.met},
            "rows": rows,
            "rows_checked": found["rows"],
            "rows_with": found["rows_with_findings"],
            "entities": found["entities"],
        }
