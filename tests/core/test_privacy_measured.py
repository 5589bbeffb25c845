"""How much is found in 1,500 synthetic texts: no less than docs/privacy.md says."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from core.privacy.detect import Detector
from core.privacy.entities import DEFAULT_POLICY, ENTITY_NAMES
from core.privacy.types import Finding, Policy

# The set's kinds that have other names here.
KINDS = {"GPE": "LOCATION", "STREET_ADDRESS": "LOCATION", "DOMAIN_NAME": "URL"}

# Of the values of a kind, the share that is replaced to the last letter; of what is found as a kind, the share that
# is personal data in the set, of whatever kind. Both are a little below what was measured.
DEFAULT_FLOORS = {
    "PERSON": (0.65, 0.93),
    "LOCATION": (0.21, 0.96),
    "EMAIL_ADDRESS": (0.99, 0.99),
    "PHONE_NUMBER": (0.89, 0.99),
    "CREDIT_CARD": (0.99, 0.99),
    "IBAN_CODE": (0.99, 0.99),
    "US_SSN": (0.99, 0.99),
    "IP_ADDRESS": (0.99, 0.99),
}
# With every kind on: what the model takes for an organisation is often a person.
ALL_FLOORS = {
    "PERSON": (0.78, 0.93),
    "LOCATION": (0.29, 0.96),
    "ORGANIZATION": (0.58, 0.81),
    "DATE_TIME": (0.37, 0.41),
    "URL": (0.99, 0.99),
}
CASES = [(DEFAULT_POLICY, kind, *floors) for kind, floors in DEFAULT_FLOORS.items()] + [
    (Policy(ENTITY_NAMES), kind, *floors) for kind, floors in ALL_FLOORS.items()
]
IDS = [f"default-{kind}" for kind in DEFAULT_FLOORS] + [f"all-{kind}" for kind in ALL_FLOORS]


@dataclass
class Measurement:
    """Shares by kind: `whole` and `part` of the values that were replaced, `right` of the findings."""

    values: Counter[str]
    whole: Counter[str]
    part: Counter[str]
    findings: Counter[str]
    right: Counter[str]

    def recall(self, kind: str) -> float:
        return self.whole[kind] / self.values[kind]

    def precision(self, kind: str) -> float:
        return self.right[kind] / self.findings[kind]


def measure(rows: list[dict[str, Any]], findings: list[list[Finding]]) -> Measurement:
    measured = Measurement(Counter(), Counter(), Counter(), Counter(), Counter())
    for row, found in zip(rows, findings, strict=True):
        replaced = {position for finding in found for position in range(finding.start, finding.end)}
        personal = {position for span in row["spans"] for position in range(span["start"], span["end"])}
        for span in row["spans"]:
            kind = KINDS.get(span["type"], span["type"])
            letters = {
                position for position in range(span["start"], span["end"]) if row["text"][position].isalnum()
            }
            measured.values[kind] += 1
            measured.whole[kind] += letters <= replaced
            measured.part[kind] += bool(letters & replaced)
        for finding in found:
            measured.findings[finding.entity] += 1
            measured.right[finding.entity] += bool(personal & set(range(finding.start, finding.end)))
    return measured


@pytest.fixture(scope="module")
def measurements(shared_dir) -> dict[frozenset[str], Measurement]:
    path = shared_dir / "pii" / "presidio_synth_v2.jsonl"
    if not path.is_file():
        pytest.skip(f"There is no {path}.")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [row["text"] for row in rows]
    return {
        policy.entities: measure(rows, Detector(policy).detect(texts))
        for policy in (DEFAULT_POLICY, Policy(ENTITY_NAMES))
    }


@pytest.mark.xdist_group("privacy-measured")  # one worker measures for all
@pytest.mark.parametrize(("policy", "kind", "recall", "precision"), CASES, ids=IDS)
def test_no_less_is_found_and_no_more_than_the_documentation_says(
    measurements, policy, kind, recall, precision
):
    measured = measurements[policy.entities]
    assert measured.recall(kind) >= recall
    assert measured.precision(kind) >= precision
