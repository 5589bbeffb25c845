"""Finds personal data in texts, as a tenant's policy says. Nothing leaves the process, and nothing is replaced."""

from collections.abc import Sequence

from core.privacy.denied import find_denied
from core.privacy.engines import engines
from core.privacy.normalise import normalise
from core.privacy.placeholders import PLACEHOLDER_OR_ESCAPED
from core.privacy.spans import keep_apart, shift, trim_name, windows
from core.privacy.types import Finding, Mode, Policy

# Characters that stand for others in formats, one for one so that offsets hold: the spaces and dashes of word
# processors, and the full-width digits and signs of East Asian keyboards.
_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " "),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        **{chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)},
        # Half of a surrogate pair, which JSON may hold, is no character, and spaCy fails on it.
        **dict.fromkeys(map(chr, range(0xD800, 0xE000)), "\ufffd"),
    }
)


def warm_up() -> None:
    """Load the engines now (two seconds) rather than in the first request."""
    Detector(Policy(frozenset({"PERSON", "EMAIL_ADDRESS"}))).detect(["Ada: ada@example.com"])


class Detector:
    """Finds what `policy` wants found. Cheap to make; every thread may use it."""

    def __init__(self, policy: Policy, mode: Mode = Mode.FAST) -> None:
        self._mode = mode
        self._entities = policy.entities if policy.enabled else frozenset[str]()
        self._allow_list = policy.allow_list
        self._deny_list = policy.deny_list if policy.enabled else frozenset[str]()
        self._allowed: dict[str, frozenset[str]] = {}

    def detect(self, texts: Sequence[str]) -> list[list[Finding]]:
        """For each text its findings: in the order of the text, apart from one another, trimmed.

        Best given many texts at once; each distinct one is looked at once. Placeholders in a text are left alone.
        """
        if not self._entities and not self._deny_list:
            return [[] for _ in texts]
        distinct = list(dict.fromkeys(texts))
        found = dict(zip(distinct, self._detect(distinct), strict=True))
        return [list(found[text]) for text in texts]

    def _detect(self, texts: Sequence[str]) -> list[list[Finding]]:
        folded = [text if text.isascii() else text.translate(_LOOKALIKES) for text in texts]
        pieces = [(index, *window) for index, text in enumerate(folded) for window in windows(text)]
        patterns = [find_denied(text, self._deny_list) if self._deny_list else [] for text in folded]
        names: list[list[Finding]] = [[] for _ in texts]
        for (index, offset, _), named in zip(pieces, self._find_names([p[2] for p in pieces]), strict=True):
            names[index].extend(shift(named, offset))
        for index, offset, piece in pieces:
            patterns[index].extend(shift(engines().patterns.find(piece, self._entities), offset))
        return [self._settle(*found) for found in zip(texts, patterns, names, strict=True)]

    def _find_names(self, texts: Sequence[str]) -> list[list[Finding]]:
        names = engines().names
        if not self._entities & names.entities:
            return [[] for _ in texts]
        found = names.find(texts, self._entities)
        return [
            [trimmed for finding in findings for trimmed in trim_name(text, finding)]
            for text, findings in zip(texts, found, strict=True)
        ]

    def _settle(self, text: str, patterns: list[Finding], names: list[Finding]) -> list[Finding]:
        if not patterns and not names:
            return []
        placeholders = [match.span() for match in PLACEHOLDER_OR_ESCAPED.finditer(text)]
        apart = keep_apart(text, patterns, names, placeholders)
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
