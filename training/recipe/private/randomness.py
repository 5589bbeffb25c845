"""The chance in a private fine-tune: which records a step takes, and the noise it adds.

The guarantee holds against everybody who cannot tell the noise, so it comes from a key that only the tenant's encrypted
checkpoints keep, never from the job's seed, which is shown. A step's chance follows from the key and its number alone:
an attempt that goes on from a checkpoint takes the same records and adds the same noise as the one before would have,
and no noise serves two steps.
"""

import secrets
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from training.recipe.tokens import Indexes

Floats = npt.NDArray[np.float64]

_KEY_BYTES = 32
_COUNTER_BYTES = 8
_MANTISSA_BITS = 53


class _Use(IntEnum):
    SAMPLE = 1
    NOISE = 2


@dataclass(frozen=True, slots=True)
class Randomness:
    """`key`: 32 secret bytes, from which everything follows by ChaCha20."""

    key: bytes

    @classmethod
    def drawn(cls) -> "Randomness":
        """From a key of the operating system's."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    def sample(self, step: int, rows: int, rate: float) -> Indexes:
        """Which of `rows` rows are in the step: each with probability `rate`, whatever the others are."""
        return np.flatnonzero(self._uniform(_Use.SAMPLE, step, rows) < rate)

    def noise(self, step: int, size: int) -> Floats:
        """So many standard normal numbers, in double precision (Box and Muller 1958)."""
        half = (size + 1) // 2
        uniform = self._uniform(_Use.NOISE, step, 2 * half)
        radius = np.sqrt(-2 * np.log1p(-uniform[:half]))
        angle = 2 * np.pi * uniform[half:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]

    def _uniform(self, use: _Use, step: int, size: int) -> Floats:
        """Numbers from 0 to 1 (exclusive), in steps of 2^-53."""
        nonce = bytes(_COUNTER_BYTES) + use.to_bytes(2, "little") + step.to_bytes(6, "little")
        stream = Cipher(algorithms.ChaCha20(self.key, nonce), mode=None).encryptor().update(bytes(8 * size))
        whole = np.frombuffer(stream, dtype="<u8") >> np.uint64(64 - _MANTISSA_BITS)
        return whole.astype(np.float64) * 2.0**-_MANTISSA_BITS
