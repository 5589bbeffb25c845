"""What the model gets to read: a text with its personal data replaced as its tenant's policy says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.privacy.detect import Detector
from core.privacy.placeholders import PLACEHOLDER, find_escaped
from core.privacy.pseudonymise import Pseudonymiser, generalise, privacy_key
from core.privacy.types import Finding, Policy
from core.storage import TenantKey
from inference.gateway.prediction import Replacement


@dataclass(frozen=True, slots=True)
class Edit:
    """[start, end) of the text as it came is `length` characters of the text as the model reads it."""

    start: int
    end: int
    length: int


@dataclass(frozen=True, slots=True)
class Protected:
    """`original` as it came, `text` as the model reads it, what was replaced, and where the two differ."""

    original: str
    text: str
    replacements: tuple[Replacement, ...]
    edits: tuple[Edit, ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """[start, end) of the model's text in the text as it came; what was replaced is in it whole or not at
        all."""
        return self._original(start, at_end=False), self._original(end, at_end=True)

    def _original(self, position: int, *, at_end: bool) -> int:
        shift = 0  # how much further the model's text is than the text as it came
        for edit in self.edits:
            start = edit.start + shift
            if position < start or (at_end and position == start):
                break
            shift += edit.length - (edit.end - edit.start)
            if position < start + edit.length:
                return edit.end if at_end else edit.start
        return position - shift


def protect(texts: Sequence[str], policy: Policy, key: TenantKey) -> list[Protected]:
    """Replace personal data in each text by its kind, `[PERSON]`: what the model saw in training too."""
    pseudonymiser = Pseudonymiser(privacy_key(key), policy)
    return [
        Protected(
            original=text,
            text=generalise(pseudonymiser.replace(text, findings)),
            replacements=tuple(
                Replacement(finding.start, finding.end, finding.entity) for finding in findings
            ),
            edits=tuple(_edits(text, findings if policy.enabled else None)),
        )
        for text, findings in zip(texts, Detector(policy).detect(texts), strict=True)
    ]


def _edits(text: str, findings: Sequence[Finding] | None) -> Iterator[Edit]:
    """What `protect` does to a text, in its order; `findings` is None where the policy is off."""
    if (
        findings is None
    ):  # nothing is replaced or escaped, but what reads as a placeholder is reduced to its kind
        for match in PLACEHOLDER.finditer(text):
            yield Edit(match.start(), match.end(), len(match[1]) + 2)
        return
    position = 0
    for finding in sorted(findings):
        yield from _escapes(text, position, finding.start)
        yield Edit(finding.start, finding.end, len(finding.entity) + 2)
        position = finding.end
    yield from _escapes(text, position, len(text))


def _escapes(text: str, start: int, end: int) -> Iterator[Edit]:
    for bracket in find_escaped(text[start:end]):
        yield Edit(start + bracket, start + bracket + 1, 2)
