"""Finds personal data in texts, as a tenant's policy says. Nothing leaves the process, and nothing is replaced."""

import traceback
from collections.abc import Iterable, Sequence

from core.privacy import engines
from core.privacy.denied import find_denied
from core.privacy.normalise import normalise
from core.privacy.placeholders import PLACEHOLDER_OR_ESCAPED
from core.privacy.repeated import NamesOfARow
from core.privacy.spans import keep_apart, merge_alike, shift, trim_name, windows
from core.privacy.types import DetectionFailed, Finding, Mode, Policy

# Characters that stand for others in formats, one for one so that offsets hold: the spaces and dashes of word
# processors, and the full-width digits and signs of East Asian keyboards.
_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " "),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        **{chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)},
        # Half of a surrogate pair, which JSON may hold, is no character, and models fail on it.
        **dict.fromkeys(map(chr, range(0xD800, 0xE000)), "\ufffd"),
    }
)
_TAGGED = frozenset(
    {"PERSON", "LOCATION", "ORGANIZATION", "DATE_TIME", "AGE", "TITLE", "NATIONALITY", "USERNAME"}
)
"""Kinds that the tagger finds too, so that a pattern's finding is no more than another opinion."""

THRESHOLDS = {Mode.FAST: 0.3, Mode.STRICT: 0.1}
"""How probable the tagger must find it that a word is personal. docs/privacy.md says what each gives."""
SECONDED = 0.05
"""And how probable, in an upload, where spaCy finds the same."""
_LIKELY_USERNAME = 0.5


def warm_up(mode: Mode = Mode.FAST) -> None:
    """Load the engines of `mode` now rather than in the first request. Raises DetectionFailed where one cannot be."""
    Detector(Policy(frozenset({"PERSON", "EMAIL_ADDRESS"})), mode).detect(["Ada: ada@example.com"])


def _spellings(values: Iterable[str]) -> frozenset[str]:
    """Values as they stand in a text whose lookalikes are folded. A capital of one letter may be two: ß, SS."""
    folded = {value.translate(_LOOKALIKES) for value in values}
    return frozenset(folded | {value.upper() for value in folded if len(value.upper()) != len(value)})


class Detector:
    """Finds what `policy` wants found, as hard as `mode` says. Cheap to make; every thread may use it."""

    def __init__(self, policy: Policy, mode: Mode = Mode.FAST) -> None:
        self._mode = mode
        self._entities = policy.entities if policy.enabled else frozenset[str]()
        self._allow_list = policy.allow_list
        self._deny_list = _spellings(policy.deny_list) if policy.enabled else frozenset[str]()
        self._allowed: dict[str, frozenset[str]] = {}

    def detect(self, texts: Sequence[str], rows: Sequence[int] | None = None) -> list[list[Finding]]:
        """For each text its findings: in the order of the text, apart from one another, trimmed.

        Best given many texts at once; each distinct one is looked at once. Placeholders in a text are left alone. `rows`
        says for each text which row or conversation it is of: a name that is certain in one of its texts is found in all
        of them. Without it, each is by itself. Raises DetectionFailed: nothing may be done with a text then.
        """
        if not self._entities and not self._deny_list:
            return [[] for _ in texts]
        try:
            return self._detect(texts, range(len(texts)) if rows is None else rows)
        except Exception as error:
            # The error's own words may have the text in them, and so may what it came from.
            raise DetectionFailed(f"{type(error).__name__} at {_place(error)}") from None

    def _detect(self, texts: Sequence[str], rows: Sequence[int]) -> list[list[Finding]]:
        distinct = list(dict.fromkeys(texts))
        folded = {text: text if text.isascii() else text.translate(_LOOKALIKES) for text in distinct}
        formats: dict[str, list[Finding]] = {
            text: find_denied(folded[text], self._deny_list) if self._deny_list else [] for text in distinct
        }
        names: dict[str, list[Finding]] = {text: [] for text in distinct}
        pieces = [(text, *window) for text in distinct for window in windows(folded[text])]
        for (text, offset, _), found in zip(pieces, self._names([piece[2] for piece in pieces]), strict=True):
            names[text].extend(shift(found, offset))
        patterns = engines.patterns()
        for text, offset, piece in pieces:
            for finding in shift(patterns.find(piece, self._entities), offset):
                (names if finding.entity in _TAGGED else formats)[text].append(finding)
        repeated = NamesOfARow()
        for text, row in zip(texts, rows, strict=True):
            repeated.learn(row, folded[text], names[text])
        return [
            self._settle(text, formats[text], names[text] + repeated.find(row, folded[text]))
            for text, row in zip(texts, rows, strict=True)
        ]

    def _names(self, texts: Sequence[str]) -> list[list[Finding]]:
        """What the models find in each text."""
        if not self._entities & _TAGGED:
            return [[] for _ in texts]
        found = self._tagged_strictly(texts) if self._mode is Mode.STRICT else self._tagged(texts)
        return [
            [trimmed for finding in findings if _is_likely(finding) for trimmed in trim_name(text, finding)]
            for text, findings in zip(texts, found, strict=True)
        ]

    def _tagged(self, texts: Sequence[str]) -> list[list[Finding]]:
        return engines.tagger().find(texts, self._entities, THRESHOLDS[self._mode])

    def _tagged_strictly(self, texts: Sequence[str]) -> list[list[Finding]]:
        """What the tagger finds, and what spaCy finds that the tagger does not rule out."""
        tagged = engines.tagger().find_at(texts, self._entities, (THRESHOLDS[self._mode], SECONDED))
        others = engines.second_opinion().find(texts, self._entities)
        return [
            found + [one for one in other if any(one.overlaps(possible) for possible in suspected)]
            for (found, suspected), other in zip(tagged, others, strict=True)
        ]

    def _settle(self, text: str, formats: list[Finding], names: list[Finding]) -> list[Finding]:
        if not formats and not names:
            return []
        placeholders = [match.span() for match in PLACEHOLDER_OR_ESCAPED.finditer(text)]
        apart = keep_apart(text, formats, merge_alike(names), placeholders)
        return [finding for finding in apart if not self._is_allowed(text, finding)]

    def _is_allowed(self, text: str, finding: Finding) -> bool:
        if not self._allow_list:
            return False
        # Each kind has a spelling of its own for the list, which is made when the first of that kind is found.
        allowed = self._allowed.get(finding.entity)
        if allowed is None:
            allowed = frozenset(normalise(finding.entity, value) for value in self._allow_list)
            self._allowed[finding.entity] = allowed
        return normalise(finding.entity, text[finding.start : finding.end]) in allowed


def _is_likely(finding: Finding) -> bool:
    """Whether a guess counts: codes and part numbers look like user names, and a manual is full of them."""
    return finding.entity != "USERNAME" or finding.score >= _LIKELY_USERNAME


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.name}, line {last.lineno} of {last.filename.rpartition('/')[2]}"
