"""A target as a producer checks it, with every default filled in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

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
class CheckSettings:
    """How a target is checked, with every default filled in. Targets that are checked alike share one."""

    interval_s: int
    timeout_s: float
    expected_status: StatusSet
    # All must match somewhere in the body.
    regexps: tuple[str, ...] = ()
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    follow_redirects: bool = True
    verify_tls: bool = True
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

    @property
    def looks_into_body(self) -> bool:
        """Whether something must be found in the body, or must not."""
        return bool(self.regexps or self.forbidden_regexps or self.expected_json)


# Most of a million targets have the same settings, which take several times the room of a URL.
_SHARED: WeakValueDictionary[CheckSettings, CheckSettings] = WeakValueDictionary()


def shared(settings: CheckSettings) -> CheckSettings:
    """Settings equal to these, which other targets may have, too."""
    # Values of JSON may be lists; and true is equal to 1 in Python, where it is another value in JSON.
    return settings if settings.expected_json else _SHARED.setdefault(settings, settings)


@attrs.frozen(kw_only=True, weakref_slot=False)
class Target:
    """A website as a producer checks it.

    Attributes:
        problem: why it can never be checked as it stands; its slots then end as `invalid_target`. None if it can be.
    """

    id: int
    url: str = attrs.field(repr=lambda url: repr(without_credentials(url)))
    settings: CheckSettings
    problem: str | None = None

    @property
    def host(self) -> str:
        """The host in the URL, without its port."""
        plain = PLAIN_URL.fullmatch(self.url)
        return plain[1] if plain else urlsplit(self.url).hostname or ""
