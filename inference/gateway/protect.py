"""What the model gets to read: a text with its personal data replaced as its tenant's policy says."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.privacy.detect import Detector
from core.privacy.pseudonymise import Pseudonymiser, generalise, privacy_key
from core.privacy.types import Policy
from core.storage import TenantKey
from inference.gateway.prediction import Replacement


@dataclass(frozen=True, slots=True)
class Protected:
    """`text` as the model reads it, and what was replaced in the text as it came."""

    text: str
    replacements: tuple[Replacement, ...]


def protect(texts: Sequence[str], policy: Policy, key: TenantKey) -> list[Protected]:
    """Replace personal data in each text by its kind, `[PERSON]`: what the model saw in training too."""
    pseudonymiser = Pseudonymiser(privacy_key(key), policy)
    return [
        Protected(
            text=generalise(pseudonymiser.replace(text, findings)),
            replacements=tuple(
                Replacement(finding.start, finding.end, finding.entity) for finding in findings
            ),
        )
        for text, findings in zip(texts, Detector(policy).detect(texts), strict=True)
    ]
