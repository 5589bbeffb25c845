"""Challenges for passkeys to sign: each for one browser and one purpose, good for five minutes and once.

The browser's session holds the challenge, signed, and Redis that nobody has used it: an old cookie that is sent again
brings back no challenge.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from flask import session

from core.queues import redis

LIFETIME = timedelta(minutes=5)
_BYTES = 32
_KEPT = "passkey_challenge"


class Purpose(StrEnum):
    """What a signed challenge is good for."""

    SIGN_IN = "sign_in"
    SECOND_FACTOR = "second_factor"
    ADD = "add"


def make_challenge(purpose: Purpose, person_id: UUID | None = None) -> bytes:
    """A challenge for this browser in place of any that it had; for `person_id`, where it is known who signs."""
    challenge = secrets.token_bytes(_BYTES)
    redis().set(_name(challenge), _meant_for(purpose, person_id), ex=LIFETIME)
    session[_KEPT] = urlsafe_b64encode(challenge).decode()
    return challenge


def take_challenge(purpose: Purpose, person_id: UUID | None = None) -> bytes | None:
    """Use up this browser's challenge; None where it has none, or one that was used, is too old or for something else."""
    kept = session.pop(_KEPT, None)
    if kept is None:
        return None
    challenge = urlsafe_b64decode(kept)
    is_unused = redis().getdel(_name(challenge)) == _meant_for(purpose, person_id).encode()
    return challenge if is_unused else None


def _name(challenge: bytes) -> str:
    return f"passkey-challenge:{sha256(challenge).hexdigest()}"


def _meant_for(purpose: Purpose, person_id: UUID | None) -> str:
    return f"{purpose}:{person_id}"
