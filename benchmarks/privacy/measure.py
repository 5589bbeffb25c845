"""What is counted of a detector's findings. Letters and digits count; what stands between them hides nobody."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.privacy.types import Finding
from training.pii_model.examples import AnnotatedText


@dataclass(slots=True)
class Measurement:
    """Counts over texts, by kind where they are of spans.

    spans: the personal data in the texts; full: those of which every letter is covered by findings; letters and leaked:
    theirs, and those that no finding covers. clean and covered: letters outside all spans, and those that findings
    cover. texts_without and touched: texts without any span, and those in which something was found.
    """

    spans: Counter[str] = field(default_factory=Counter)
    full: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    leaked: Counter[str] = field(default_factory=Counter)
    clean: int = 0
    covered: int = 0
    texts_without: int = 0
    touched: int = 0

    @property
    def full_share(self) -> float:
        return _share(self.full.total(), self.spans.total())

    @property
    def leaked_share(self) -> float:
        return _share(self.leaked.total(), self.letters.total())

    @property
    def over_redacted_share(self) -> float:
        return _share(self.covered, self.clean)

    @property
    def touched_share(self) -> float:
        return _share(self.touched, self.texts_without)

    def full_share_of(self, kind: str) -> float:
        return _share(self.full[kind], self.spans[kind])


def measure(texts: Sequence[AnnotatedText], found: Iterable[Sequence[Finding]]) -> Measurement:
    """How `found`, the findings in each of `texts`, compares with what is marked in them."""
    measured = Measurement()
    for text, findings in zip(texts, found, strict=True):
        covered = _positions((one.start, one.end) for one in findings)
        personal = _positions((one.start, one.end) for one in text.spans)
        letters = {position for position, char in enumerate(text.text) if char.isalnum()}
        for span in text.spans:
            own = letters & set(range(span.start, span.end))
            open_letters = own - covered
            measured.spans[span.kind] += 1
            measured.full[span.kind] += not open_letters
            measured.letters[span.kind] += len(own)
            measured.leaked[span.kind] += len(open_letters)
        measured.clean += len(letters - personal)
        measured.covered += len((letters - personal) & covered)
        if not text.spans:
            measured.texts_without += 1
            measured.touched += bool(findings)
    return measured


def _positions(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {position for start, end in spans for position in range(start, end)}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
