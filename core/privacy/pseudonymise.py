"""Replaces what was found: the same value alike within a tenant, and otherwise in another's."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import NewType

from core.crypto import TenantKey, derive_key
from core.privacy.masks import mask
from core.privacy.normalise import normalise
from core.privacy.placeholders import CODE_LENGTH, PLACEHOLDER, escape
from core.privacy.surrogates import find_surrogate
from core.privacy.types import Finding, Operator, Policy

PrivacyKey = NewType("PrivacyKey", bytes)
"""The key of a tenant's placeholders, 32 bytes. Who has it can test guesses of a value, so it is never stored."""

DROPPED = "…"
"""What stands where a value was dropped: as in a quotation, so that no text and no word becomes empty."""

_CODE_BYTES = CODE_LENGTH * 5 // 8
_HASH_BYTES = 16


def privacy_key(tenant_key: TenantKey) -> PrivacyKey:
    """The key of the tenant's placeholders; its data key, which opens its blobs, serves no second end."""
    return PrivacyKey(derive_key(tenant_key.data_key, "adaptary placeholders v1"))


class Pseudonymiser:
    """Puts what the policy says in the place of findings, for one tenant."""

    def __init__(self, key: PrivacyKey, policy: Policy) -> None:
        self._key = key
        self._policy = policy

    def replace(self, text: str, findings: Sequence[Finding]) -> str:
        """`text` with a replacement for each finding, and with what reads as a placeholder in it escaped.

        With the policy off, `text` as it is. Raises ValueError where findings overlap or lie outside the text.
        """
        if not self._policy.enabled:
            return text
        parts = []
        position = 0
        for finding in sorted(findings):
            if not position <= finding.start < finding.end <= len(text):
                raise ValueError(f"Findings overlap or lie outside the text at {finding.start}–{finding.end}")
            parts.append(escape(text[position : finding.start]))
            parts.append(self.replacement(finding.entity, text[finding.start : finding.end]))
            position = finding.end
        parts.append(escape(text[position:]))
        return "".join(parts)

    def replacement(self, entity: str, value: str) -> str:
        """What stands for `value`, as the policy's operator for `entity` says.

        A kind of which there are no realistic values gets a placeholder in place of a surrogate.
        """
        match self._policy.operator(entity):
            case Operator.PSEUDONYM:
                return self.placeholder(entity, value)
            case Operator.SURROGATE:
                surrogate = find_surrogate(entity, value, self._digest("surrogate\0", entity, value))
                return self.placeholder(entity, value) if surrogate is None else surrogate
            case Operator.MASK:
                return mask(entity, value)
            case Operator.HASH:
                return self._digest("hash\0", entity, value)[:_HASH_BYTES].hex()
            case Operator.DROP:
                return DROPPED

    def placeholder(self, entity: str, value: str) -> str:
        """The placeholder of `value`: `[PERSON_7F3KQ2ZD]`."""
        code = self._digest("", entity, value)[:_CODE_BYTES]
        return f"[{entity}_{base64.b32encode(code).decode()}]"

    def _digest(self, use: str, entity: str, value: str) -> bytes:
        """32 bytes that only the tenant's key makes of the value; no entity is named like a `use`."""
        message = f"{use}{entity}\0{normalise(entity, value)}".encode(errors="surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256)


def generalise(text: str) -> str:
    """`text` with each placeholder reduced to its kind, `[PERSON]`: what an encoder reads, in training and after.

    Codes would teach the model nothing but who is who.
    """
    return PLACEHOLDER.sub(r"[\1]", text)
