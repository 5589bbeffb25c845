"""How much personal data is found in texts that trained nothing: no less than docs/privacy.md says."""

from collections.abc import Sequence

import pytest

from benchmarks.privacy.measure import Measurement, measure
from benchmarks.privacy.texts import formats, measured_texts
from core.privacy.detect import Detector
from core.privacy.entities import ENTITY_NAMES
from core.privacy.types import Mode, Policy
from training.pii_model.corpora import SYNTHETIC
from training.pii_model.examples import AnnotatedText
from training.pii_model.generate import generated

# A part of the texts, so that the test stays short; `make bench-privacy` measures all.
EVERY = 3
GENERATED = 120

# Of the held-out templates: the least share of spans found in full, the most of letters leaked, and the most of letters
# outside all spans that are covered. A little worse than what was measured.
HELD_OUT = {Mode.FAST: (0.97, 0.02, 0.05), Mode.STRICT: (0.985, 0.01, 0.07)}
# And of our own, in which numbers and links stand that are not marked, so that finding them counts as too much.
OWN = {Mode.FAST: (0.95, 0.03, 0.16), Mode.STRICT: (0.97, 0.02, 0.25)}
ALWAYS_FOUND = ("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "US_SSN")

# One worker measures for all.
pytestmark = pytest.mark.xdist_group("privacy-measured")


def measured(texts: Sequence[AnnotatedText], mode: Mode) -> Measurement:
    return measure(texts, Detector(Policy(ENTITY_NAMES), mode).detect([text.text for text in texts]))


def check(found: Measurement, full: float, leaked: float, over_redacted: float) -> None:
    assert found.full_share >= full
    assert found.leaked_share <= leaked
    assert found.over_redacted_share <= over_redacted


@pytest.mark.parametrize("mode", Mode)
def test_what_is_found_in_texts_of_held_out_templates(shared_dir, mode):
    if not (shared_dir / SYNTHETIC).is_file():
        pytest.skip(f"There is no {shared_dir / SYNTHETIC}.")
    texts, _ = measured_texts(shared_dir)
    found = measured(texts[::EVERY], mode)
    check(found, *HELD_OUT[mode])
    assert {kind for kind in ALWAYS_FOUND if found.full[kind] < found.spans[kind]} == set()


@pytest.mark.parametrize("mode", Mode)
def test_what_is_found_in_our_own_held_out_templates(mode):
    check(measured(generated(GENERATED, seed=7, held_out=True), mode), *OWN[mode])


def test_valid_numbers_and_addresses_are_always_found_to_their_last_character():
    found = measured(formats(), Mode.FAST)
    assert found.full == found.spans
    assert set(found.spans) == set(ALWAYS_FOUND)
