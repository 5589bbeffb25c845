"""What a model gets to read: a text with its personal data replaced as its tenant's policy says."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from core.privacy.detect import Detector
from core.privacy.normalise import normalise
from core.privacy.numbers import Numbering
from core.privacy.placeholders import PLACEHOLDER, escape, find_escaped
from core.privacy.pseudonymise import Pseudonymiser, generalise, privacy_key
from core.privacy.restore import Restorer
from core.privacy.types import DetectionFailed, Finding, Operator, Policy
from core.storage import TenantKey
from inference.gateway.prediction import NotSearched, Replacement

log = structlog.get_logger(__name__)


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
    """Replace personal data in each text as `policy` says, a pseudonym by its kind, `[PERSON]`: what the model saw in
    training too. Raises NotSearched."""
    pseudonymiser = Pseudonymiser(privacy_key(key), policy)

    def read(finding: Finding, text: str) -> str:
        if policy.operator(finding.entity) is Operator.PSEUDONYM:
            return f"[{finding.entity}]"
        return generalise(pseudonymiser.replacement(finding.entity, text[finding.start : finding.end]))

    protected = []
    for text, findings in zip(texts, _find(texts, policy), strict=True):
        pieces = list(_pieces(text, findings, read) if policy.enabled else _placeholders(text))
        edits = tuple(Edit(start, end, len(piece)) for start, end, piece in pieces)
        protected.append(Protected(text, _edited(text, pieces), _replacements(pieces, findings), edits))
    return protected


@dataclass(frozen=True, slots=True)
class ProtectedTogether:
    """A conversation's contents as a model reads them, what was replaced in each, and the values that stand behind what
    the model may write.

    `values` lives as long as the request, in memory only.
    """

    contents: tuple[str, ...]
    replacements: tuple[tuple[Replacement, ...], ...]
    values: Mapping[str, str]
    is_protected: bool

    def restorer(self) -> Callable[[Iterable[str]], Iterator[str]]:
        """What gives the pieces of the model's answer their values back."""
        return Restorer(self.values).restore if self.is_protected else iter

    def cover(self, text: str) -> str:
        """`text` as the model would write it: with the chat's values replaced as they are in it."""
        if not self.is_protected:
            return text
        text = escape(text)
        for stands, value in self.values.items():
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", stands, text)
        return text


def protect_together(contents: Sequence[str], policy: Policy, key: TenantKey) -> ProtectedTogether:
    """Replace personal data in texts that belong together, such as a conversation's, as `policy` says, pseudonyms numbered,
    `[PERSON_1]`: what a chat model saw in training too. With the policy off, the contents as they are. Raises NotSearched."""
    if not policy.enabled:
        return ProtectedTogether(tuple(contents), ((),) * len(contents), {}, is_protected=False)
    pseudonymiser, numbering = Pseudonymiser(privacy_key(key), policy), Numbering()
    values = _Values(contents)

    def read(finding: Finding, text: str) -> str:
        value = text[finding.start : finding.end]
        stands = numbering.number(pseudonymiser.replacement(finding.entity, value))
        if policy.operator(finding.entity) in _RESTORED:
            values.add(finding.entity, value, stands)
        return stands

    protected, replacements = [], []
    for text, findings in zip(contents, _find(contents, policy, together=True), strict=True):
        pieces = list(_pieces(text, findings, read))
        protected.append(_edited(text, pieces))
        replacements.append(_replacements(pieces, findings))
    return ProtectedTogether(tuple(protected), tuple(replacements), values.certain(), is_protected=True)


_RESTORED = frozenset({Operator.PSEUDONYM, Operator.SURROGATE})


class _Values:
    """What stands for which value in a chat, by its first spelling."""

    def __init__(self, contents: Sequence[str]) -> None:
        self._contents = contents
        self._values: dict[str, str] = {}
        self._uncertain: set[str] = set()

    def add(self, entity: str, value: str, stands: str) -> None:
        known = self._values.setdefault(stands, value)
        if known != value and normalise(entity, known) != normalise(entity, value):
            self._uncertain.add(stands)

    def certain(self) -> dict[str, str]:
        """Without what stands for two values, and without surrogates that the chat itself has in it: what a model
        writes with them may be about another."""
        return {
            stands: value
            for stands, value in self._values.items()
            if stands not in self._uncertain
            and (stands.startswith("[") or not any(stands in content for content in self._contents))
        }


def _find(texts: Sequence[str], policy: Policy, *, together: bool = False) -> list[list[Finding]]:
    """What is personal in each text; a detector that fails closes the door."""
    try:
        return Detector(policy).detect(texts, [0] * len(texts) if together else None)
    except DetectionFailed as error:
        log.error("detection_failed", reason=str(error))
        raise NotSearched(
            "The text could not be searched for personal data, so it was passed on to no model. "
            "Try again in a few seconds; if it happens again, tell support."
        ) from None


Piece = tuple[int, int, str]
"""[start, end) of a text as it came, and what is in its place."""


def _pieces(text: str, findings: Sequence[Finding], read: Callable[[Finding, str], str]) -> Iterator[Piece]:
    position = 0
    for finding in findings:
        yield from _escapes(text, position, finding.start)
        yield finding.start, finding.end, read(finding, text)
        position = finding.end
    yield from _escapes(text, position, len(text))


def _placeholders(text: str) -> Iterator[Piece]:
    """Where the policy is off nothing is replaced or escaped, but what reads as a placeholder is reduced to its kind."""
    for match in PLACEHOLDER.finditer(text):
        yield match.start(), match.end(), f"[{match[1]}]"


def _escapes(text: str, start: int, end: int) -> Iterator[Piece]:
    for bracket in find_escaped(text[start:end]):
        yield start + bracket, start + bracket + 1, "[~"


def _replacements(pieces: Sequence[Piece], findings: Sequence[Finding]) -> tuple[Replacement, ...]:
    """Those of the pieces that are in a finding's place."""
    entities = {finding.start: finding.entity for finding in findings}
    replacements = []
    shift = 0  # how much further the text that is read is than the text as it came
    for start, end, stands in pieces:
        if start in entities:
            replacements.append(Replacement(start, end, entities[start], stands, start + shift))
        shift += len(stands) - (end - start)
    return tuple(replacements)


def _edited(text: str, pieces: Sequence[Piece]) -> str:
    parts = []
    position = 0
    for start, end, piece in pieces:
        parts += [text[position:start], piece]
        position = end
    return "".join([*parts, text[position:]])
