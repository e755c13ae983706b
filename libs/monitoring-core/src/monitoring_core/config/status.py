"""Section `status`: how the status of websites is shown over HTTP."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated

import attrs

from monitoring_core.config.faults import Rule
from monitoring_core.config.values import Between, Matching, Network, SecretReference

if TYPE_CHECKING:
    from collections.abc import Iterator

# Prometheus documentation, "Data model": the names of labels. Two underscores at the beginning are its own.
_PROMETHEUS_LABEL = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
_TAKEN = ("instance", "location", "job", "phase", "version", "le", "quantile", "reason")
# What a login needs besides the issuer.
_WITH_ISSUER = ("oidc_client_id", "oidc_client_secret", "oidc_session_key", "oidc_allowed")
# OpenID Connect Discovery 1.0, 3: an issuer is a URL of https. So is where people come back to, or others could read a
# cookie and a code on their way. What stays on this machine may do without.
_UNSEEN = re.compile(r"https://.*|http://(localhost|127\.0\.0\.1|\[::1\])([:/].*)?")
# No login lasts longer, whatever it was made with.
LONGEST_SESSION = dt.timedelta(days=7)


@attrs.frozen(kw_only=True)
class StatusConfig:
    """Settings of status-svc."""

    host: Annotated[str, Matching(r"[^\s\0]+", "a host name or address")] = "0.0.0.0"  # noqa: S104 (pods are reached from outside)
    port: Annotated[int, Between(0, 65_535)] = 8080
    title: Annotated[str, Matching(r"[^\0-\x1f]{1,100}", "1 to 100 characters")] = "Status"
    public_url: (
        Annotated[str, Matching(r"https?://[^\s\0@?#]{1,500}", "a URL like https://status.example.org")] | None
    ) = None
    anonymous_read: bool = False
    writes: bool = False
    public_labels: dict[str, str] = attrs.field(factory=lambda: {"status_page": "public"})
    name_label: Annotated[str, Matching(r"[^\0]{1,100}", "the name of a label")] = "name"
    group_label: Annotated[str, Matching(r"[^\0]{1,100}", "the name of a label")] = "group"
    cache: Annotated[dt.timedelta, Between(dt.timedelta(seconds=1), dt.timedelta(minutes=5))] = dt.timedelta(seconds=5)
    pool_size: Annotated[int, Between(1, 100)] = 4
    metric_labels: tuple[Annotated[str, Matching(r"[^\0]{1,100}", "names of labels")], ...] = ()
    max_metric_places: Annotated[int, Between(1, 1_000_000)] = 100_000
    requests_per_minute: Annotated[int, Between(1, 1_000_000)] = 600
    trusted_proxies: tuple[Annotated[str, Network()], ...] = ()
    oidc_issuer: (
        Annotated[str, Matching(r"https?://[^\s\0@?#]{1,500}", "a URL like https://login.example.org")] | None
    ) = None
    oidc_client_id: Annotated[str, Matching(r"[^\s\0]{1,200}", "1 to 200 characters without spaces")] | None = None
    oidc_client_secret: SecretReference | None = None
    oidc_session_key: SecretReference | None = None
    oidc_scopes: tuple[Annotated[str, Matching(r'[^\s\0"\\]{1,100}', "names of scopes")], ...] = ("openid", "email")
    oidc_allowed: tuple[
        Annotated[str, Matching(r"[^\s\0=]{1,100}=[^\0]{1,200}", "CLAIM=VALUE, like groups=operators")], ...
    ] = ()
    oidc_session: Annotated[dt.timedelta, Between(dt.timedelta(minutes=5), LONGEST_SESSION)] = dt.timedelta(hours=8)

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        for label in self.metric_labels:
            if not _PROMETHEUS_LABEL.fullmatch(label) or label in _TAKEN:
                yield Rule(
                    ("metric_labels",),
                    f"must be letters, digits and underscores, and none of {', '.join(_TAKEN)}; got {label!r}",
                )
        if len(set(self.metric_labels)) < len(self.metric_labels):
            yield Rule(("metric_labels",), "must name each label once")
        yield from self._broken_login_rules()

    def _broken_login_rules(self) -> Iterator[Rule]:
        given = [key for key in _WITH_ISSUER if getattr(self, key)]
        if self.oidc_issuer is None:
            yield from (Rule((key, "oidc_issuer"), "needs oidc_issuer") for key in given)
            return
        if not _UNSEEN.fullmatch(self.oidc_issuer):
            yield Rule(("oidc_issuer",), f"must begin with https://, got {self.oidc_issuer!r}")
        if self.public_url and not _UNSEEN.fullmatch(self.public_url):
            yield Rule(
                ("public_url", "oidc_issuer"), f"must begin with https:// where people log in, got {self.public_url!r}"
            )
        for key in (*_WITH_ISSUER, "public_url"):
            if not getattr(self, key):
                yield Rule((key, "oidc_issuer"), "is required together with oidc_issuer")
        if "openid" not in self.oidc_scopes:
            yield Rule(("oidc_scopes",), "must have openid among them")
        if self.anonymous_read:
            yield Rule(
                ("anonymous_read", "oidc_issuer"), "must be false with oidc_issuer: nobody would be asked to log in"
            )
