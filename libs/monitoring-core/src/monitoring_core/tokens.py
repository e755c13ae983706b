"""Tokens: what a program shows to be let in, and what is kept of it."""

from __future__ import annotations

import enum
import hashlib
import secrets

_PREFIX = "mon_"


class Scope(enum.StrEnum):
    """What a token allows."""

    READ = "read"
    WRITE = "write"


def new_token() -> str:
    """A new token with 32 random bytes. Its prefix lets people and scanners of secrets know what it is."""
    return _PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is kept of a token. As it is random, a fast hash without salt cannot be turned back."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
