"""A passkey device in software: makes ES256 credentials and signs with them, as WebAuthn says, and lies where asked to."""

import hashlib
import json
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


def to_text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Passkey:
    """One credential: `count` is what the device says it has signed, `handle` whom it is for."""

    id: bytes
    key: ec.EllipticCurvePrivateKey
    handle: bytes
    count: int = 0


@dataclass
class Authenticator:
    """A device in front of a browser that is at `origin`. `looks` is whether it checks who is there."""

    origin: str = "http://localhost:8000"
    host: str = "localhost"
    looks: bool = True
    counts: bool = True
    passkeys: list[Passkey] = field(default_factory=list)

    def create(self, options: dict[str, Any], credential_id: bytes | None = None) -> str:
        """Make a passkey as `options` ask; what the browser says of it, as JSON."""
        passkey = Passkey(
            credential_id or token_bytes(32),
            ec.generate_private_key(ec.SECP256R1()),
            to_bytes(options["user"]["id"]),
        )
        self.passkeys.append(passkey)
        numbers = passkey.key.public_key().public_numbers()
        public = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        )
        attested = bytes(16) + struct.pack(">H", len(passkey.id)) + passkey.id + public
        data = self._data(passkey, _ATTESTED) + attested
        said = {
            "clientDataJSON": to_text(self._client_data("webauthn.create", options["challenge"])),
            "attestationObject": to_text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal", "hybrid", "telepathy"],
        }
        return self._json(passkey, said)

    def get(self, options: dict[str, Any], passkey: Passkey | None = None) -> str:
        """Sign as `options` ask, with the last passkey that was made unless with `passkey`; as JSON."""
        passkey = passkey or self.passkeys[-1]
        data = self._data(passkey)
        client_data = self._client_data("webauthn.get", options["challenge"])
        signature = passkey.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        said = {
            "clientDataJSON": to_text(client_data),
            "authenticatorData": to_text(data),
            "signature": to_text(signature),
            "userHandle": to_text(passkey.handle),
        }
        return self._json(passkey, said)

    def _data(self, passkey: Passkey, flags: int = 0) -> bytes:
        passkey.count += self.counts
        flags |= _PRESENT | (_VERIFIED if self.looks else 0)
        return hashlib.sha256(self.host.encode()).digest() + struct.pack(">BI", flags, passkey.count)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _json(self, passkey: Passkey, said: dict[str, Any]) -> str:
        name = to_text(passkey.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": said})
