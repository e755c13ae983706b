"""A target as a producer checks it, with every default filled in."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlsplit

import attrs

from monitoring_core.targets.status import StatusSet
from monitoring_core.targets.url import PLAIN_URL, without_credentials

NO_NAMES: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class CheckDefaults:
    """What applies to a target that does not say otherwise."""

    interval_s: int
    timeout_s: float
    expected_status: StatusSet


@attrs.frozen(kw_only=True)
class Target:
    """A website as a producer checks it, with every default filled in.

    Attributes:
        problem: why it can never be checked as it stands; its slots then end as `invalid_target`. None if it can be.
    """

    id: int
    url: str = attrs.field(repr=lambda url: repr(without_credentials(url)))
    # All must match somewhere in the body.
    regexps: tuple[str, ...]
    interval_s: int
    timeout_s: float
    method: str
    expected_status: StatusSet
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    follow_redirects: bool
    verify_tls: bool
    body: bytes | None = attrs.field(default=None, repr=False)
    forbidden_regexps: tuple[str, ...] = ()
    # Host and port (None for the URL's), and the version of IP (None for both).
    connect_to: tuple[str, int | None] | None = None
    family: int | None = None
    # Names, in lower case, and the regular expression that a value of each must match.
    expected_headers: tuple[tuple[str, str], ...] = ()
    # JSON paths, and the value that each must lead to.
    expected_json: tuple[tuple[str, Any], ...] = ()
    # A slower answer is up, and yet not as it should be.
    degraded_above_s: float | None = None
    # Headers, in lower case, that are a secret between the target and its host.
    secret_headers: frozenset[str] = NO_NAMES
    # The name of a file in monitor.client_certificate_directory.
    client_certificate: str | None = None
    problem: str | None = None
    host: str = attrs.field(init=False, eq=False, repr=False)

    @property
    def looks_into_body(self) -> bool:
        """Whether something must be found in the body, or must not."""
        return bool(self.regexps or self.forbidden_regexps or self.expected_json)

    def __attrs_post_init__(self) -> None:
        # Interned, because many targets may share one host.
        plain = PLAIN_URL.fullmatch(self.url)
        host = plain[1] if plain else urlsplit(self.url).hostname or ""
        object.__setattr__(self, "host", sys.intern(host))
