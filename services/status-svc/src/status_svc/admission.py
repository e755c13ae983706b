"""Whether the claims of an OpenID provider admit somebody (`status.oidc_allowed`)."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ANY = "*"
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


def admits(rules: Iterable[str], claims: Mapping[str, Any]) -> bool:
    """Whether any rule, CLAIM=VALUE, admits whoever the claims are about. What is not text admits nobody."""
    return any(_admits(name, wanted, claims) for name, _, wanted in (rule.partition("=") for rule in rules))


def needed(rules: Iterable[str]) -> frozenset[str]:
    """The claims that the rules look at."""
    names = {rule.partition("=")[0] for rule in rules}
    return frozenset(names | {"email_verified"} if "email" in names else names)


def _admits(name: str, wanted: str, claims: Mapping[str, Any]) -> bool:
    claim = claims.get(name)
    held = [one for one in (claim if isinstance(claim, list) else [claim]) if isinstance(one, str) and one]
    if name == "email":
        # OpenID Connect Core 1.0, 5.7: an address proves nothing unless the provider has verified it.
        return claims.get("email_verified") is True and any(_is_address(one, wanted) for one in held)
    return bool(held) if wanted == _ANY else wanted in held


def _is_address(address: str, wanted: str) -> bool:
    """Whether an address is the one wanted or, where only a domain is, one of that."""
    # Of ASCII alone: other letters, such as the sign for kelvin, become those of somebody else.
    address, wanted = (one.translate(_SMALL) for one in (address, wanted))
    return (
        wanted == _ANY or address == wanted or (wanted.startswith("@") and f"@{address.rpartition('@')[2]}" == wanted)
    )
