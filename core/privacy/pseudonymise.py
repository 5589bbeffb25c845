"""Replaces what was found: the same value by the same placeholder within a tenant, by others in another's."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import NewType

from core.crypto import TenantKey, derive_key
from core.privacy.normalise import normalise
from core.privacy.placeholders import CODE_LENGTH, PLACEHOLDER, escape
from core.privacy.types import Finding, Policy

PrivacyKey = NewType("PrivacyKey", bytes)
"""The key of a tenant's placeholders, 32 bytes. Who has it can test guesses of a value, so it is never stored."""

_CODE_BYTES = CODE_LENGTH * 5 // 8


def privacy_key(tenant_key: TenantKey) -> PrivacyKey:
    """The key of the tenant's placeholders; its data key, which opens its blobs, serves no second end."""
    return PrivacyKey(derive_key(tenant_key.data_key, "adaptary placeholders v1"))


class Pseudonymiser:
    """Puts placeholders in the place of findings, for one tenant."""

    def __init__(self, key: PrivacyKey, policy: Policy) -> None:
        self._key = key
        self._enabled = policy.enabled

    def replace(self, text: str, findings: Sequence[Finding]) -> str:
        """`text` with a placeholder for each finding, and with what reads as a placeholder in it escaped.

        With the policy off, `text` as it is. Raises ValueError where findings overlap or lie outside the text.
        """
        if not self._enabled:
            return text
        parts = []
        position = 0
        for finding in sorted(findings):
            if not position <= finding.start < finding.end <= len(text):
                raise ValueError(f"Findings overlap or lie outside the text at {finding.start}–{finding.end}")
            parts.append(escape(text[position : finding.start]))
            parts.append(self.placeholder(finding.entity, text[finding.start : finding.end]))
            position = finding.end
        parts.append(escape(text[position:]))
        return "".join(parts)

    def placeholder(self, entity: str, value: str) -> str:
        """The placeholder of `value`: `[PERSON_7F3KQ2ZD]`."""
        message = f"{entity}\0{normalise(entity, value)}".encode(errors="surrogatepass")
        code = hmac.digest(self._key, message, hashlib.sha256)[:_CODE_BYTES]
        return f"[{entity}_{base64.b32encode(code).decode()}]"


def generalise(text: str) -> str:
    """`text` with each placeholder reduced to its kind, `[PERSON]`: what a model reads, in training and after.

    Codes would teach the model nothing but who is who.
    """
    return PLACEHOLDER.sub(r"[\1]", text)
