"""The settings of channels: how each sends, with their defaults."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import enum
from collections.abc import Iterator
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import attrs

from monitoring_core.config.faults import Rule
from monitoring_core.config.values import Between, Matching, Secret

_SECOND = dt.timedelta(seconds=1)
_MINUTE = dt.timedelta(minutes=1)
Name = Annotated[
    str, Matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "1 to 63 letters, digits, dots, dashes or underscores")
]
_Address = Annotated[str, Matching(r"[^\s@<>,;:\"\\]+@[^\s@<>,;:\"\\]+", "an address like ops@example.org")]
_Host = Annotated[str, Matching(r"[^\s/@\0]+", "a host name or address")]


class ChannelType(enum.StrEnum):
    """How a channel sends."""

    WEBHOOK = "webhook"
    SMTP = "smtp"
    ALERTMANAGER = "alertmanager"
    APPRISE = "apprise"


class Security(enum.StrEnum):
    """How a connection to a mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


def plain(value: str | Secret) -> str:
    """The text of a setting that may be a secret. Hand it to the library that needs it and to nothing else."""
    return value.reveal() if isinstance(value, Secret) else value


def bad_url(url: str | Secret) -> str | None:
    """What is wrong with a URL that is requested, or None. It is not shown, since it may be a secret."""
    text = plain(url)
    try:
        parts = urlsplit(text)
        fit = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        fit = False
    if not fit or any(not c.isprintable() or c.isspace() for c in text):
        return "must be a URL like https://example.org/path"
    if parts.username is not None:
        return "must not have a user name or password in it"
    return None


@attrs.frozen(kw_only=True)
class Channel:
    """What every channel has.

    Attributes:
        title: a template of Jinja2 for the title or subject; None for the default.
        text: a template of Jinja2 for the text; None for the default.
    """

    TYPE: ClassVar[ChannelType]

    name: Name
    type: ChannelType
    title: str | None = None
    text: str | None = None

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        yield from ()


@attrs.frozen(kw_only=True)
class WebhookChannel(Channel):
    """A request for each message, signed as Standard Webhooks has it (https://www.standardwebhooks.com).

    Attributes:
        secret: `whsec_` and 24 to 64 bytes in Base64, shared with the receiver.
    """

    TYPE = ChannelType.WEBHOOK

    url: str | Secret
    secret: Secret

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        if bad := bad_url(self.url):
            yield Rule(("url",), bad)
        try:
            size = len(base64.b64decode(self.secret.reveal().removeprefix("whsec_"), validate=True))
        except (ValueError, binascii.Error):
            size = 0
        if not 24 <= size <= 64:
            yield Rule(("secret",), "must be whsec_ and 24 to 64 bytes in Base64")


@attrs.frozen(kw_only=True)
class SmtpChannel(Channel):
    """A mail for each message.

    Attributes:
        port: None for 587, or 465 with `security: tls`.
        ca_file: the certificates that the server's is checked with; None for those of the system.
    """

    TYPE = ChannelType.SMTP

    host: _Host
    port: Annotated[int, Between(1, 65_535)] | None = None
    security: Security = Security.STARTTLS
    ca_file: str | None = None
    user: str | None = None
    password: Secret | None = None
    sender: _Address
    recipients: tuple[_Address, ...]

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        if not self.recipients:
            yield Rule(("recipients",), "must name an address")
        if (self.user is None) != (self.password is None):
            yield Rule(("user", "password"), "must be given with password, or neither")
        elif self.user is not None and self.security is Security.NONE:
            yield Rule(("security", "user"), "must be starttls or tls, because there is a password")
        # Python's smtplib sends no others.
        if self.user is not None and self.password is not None and not (self.user + self.password.reveal()).isascii():
            yield Rule(("user", "password"), "must be ASCII, as must be password")


@attrs.frozen(kw_only=True)
class AlertmanagerChannel(Channel):
    """Alerts for an Alertmanager, by its API version 2, sent again while they are open.

    Attributes:
        url: what its API is below, like http://alertmanager:9093.
        resend: how often open alerts are sent again. Without that, Alertmanager resolves them after four times this.
        watchdog: whether an alert `Watchdog` fires as long as results come and notifications are sent.
    """

    TYPE = ChannelType.ALERTMANAGER

    url: str | Secret
    user: str | None = None
    password: Secret | None = None
    resend: Annotated[dt.timedelta, Between(_SECOND, 60 * _MINUTE)] = _MINUTE
    watchdog: bool = True

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        if bad := bad_url(self.url):
            yield Rule(("url",), bad)
        if (self.user is None) != (self.password is None):
            yield Rule(("user", "password"), "must be given with password, or neither")


@attrs.frozen(kw_only=True)
class AppriseChannel(Channel):
    """One URL of Apprise, which has the secrets of the service in it. Needs the extra alert-svc[apprise]."""

    TYPE = ChannelType.APPRISE

    url: Secret


CHANNELS: dict[ChannelType, type[Channel]] = {
    channel.TYPE: channel for channel in (WebhookChannel, SmtpChannel, AlertmanagerChannel, AppriseChannel)
}
