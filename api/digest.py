"""The hash of a random secret: it needs no salt and no work factor, for nobody can guess what it is made of."""

from __future__ import annotations

import hashlib


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret as hex."""
    return hashlib.sha256(secret.encode()).hexdigest()
