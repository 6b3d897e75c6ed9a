"""Passwords: what one must be like, and their argon2 hashes."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 10
LONGEST = 1000
LEAST_KINDS = 5
"""different characters in a password"""
_TOO_KNOWN = (
    "password",
    "passw0rd",
    "123456",
    "654321",
    "qwerty",
    "abc123",
    "111111",
    "letmein",
    "welcome",
    "iloveyou",
    "woaini",
    "5201314",
)
"""what most lists of stolen passwords begin with; no password is one of these with a little around it"""
_MOST_AROUND = 4
_FIRST, _SECOND = "bdfghjkmnprstvwz", "aeiou"

_hasher = PasswordHasher()
_two_at_once = threading.Semaphore(2)  # one check takes 64 MiB


def problem_of(password: str, name: str) -> str:
    """Return why a password will not do for somebody, empty if it will.

    Length counts, not kinds of characters (NIST SP 800-63B, 3.1.1.2): at least ten, not those that everybody tries
    first, not the name.
    """
    plain = password.casefold()
    if not SHORTEST <= len(password) <= LONGEST:
        return f"{SHORTEST} to {LONGEST} characters"
    if len(set(plain)) < LEAST_KINDS:
        return f"at least {LEAST_KINDS} different characters"
    if len(name) >= 3 and name.casefold() in plain and len(plain) - len(name) <= _MOST_AROUND:
        return "not the name with a little around it"
    if any(known in plain and len(plain) - len(known) <= _MOST_AROUND for known in _TOO_KNOWN):
        return "one that nobody tries first"
    return ""


def suggest() -> str:
    """Return a password that can be told by telephone: 5 groups of 4 letters, 63 bits."""
    syllables = [secrets.choice(_FIRST) + secrets.choice(_SECOND) for _ in range(10)]
    return "-".join(a + b for a, b in zip(syllables[::2], syllables[1::2], strict=True))


def hash_of(password: str) -> str:
    """Return the argon2id hash of a password. Blocks for some 50 ms."""
    return _hasher.hash(password)


def fits(password_hash: str, password: str) -> bool:
    """Say whether a password is the one of a hash. Blocks; two at once, the others wait."""
    with _two_at_once:
        try:
            return _hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
