"""Where an object of Kubernetes publishes something."""

from __future__ import annotations

import re

import attrs

_PORTS = {"http": 80, "https": 443}
# What means itself in a path. A controller may read anything else as a pattern.
_PLAIN = re.compile(r"/[A-Za-z0-9._~/%@:=&+,;!-]*")


@attrs.frozen
class Address:
    """A URL in its parts. A port that the scheme has anyway is None; a path that cannot be asked for is empty."""

    scheme: str
    host: str
    path: str
    port: int | None = None

    @classmethod
    def of(cls, scheme: str, host: str, path: str, port: int) -> Address:
        """The address at a port."""
        return cls(scheme, host, path, None if port == _PORTS[scheme] else port)

    @property
    def url(self) -> str:
        """The whole."""
        return f"{self.scheme}://{self.place}"

    @property
    def place(self) -> str:
        """The URL without its scheme, which may change while the website is the same."""
        return f"{self.host}{'' if self.port is None else f':{self.port}'}{self.path}"


@attrs.frozen
class Published:
    """What an object publishes.

    Attributes:
        remarks: what has no URL, and why, a sentence each.
        path_remarks: which paths cannot be asked for, and why.
        served: whether a controller says that it serves it, or could not say so.
        whole: whether nothing is missing that would say more.
    """

    addresses: tuple[Address, ...]
    remarks: tuple[str, ...] = ()
    path_remarks: tuple[str, ...] = ()
    served: bool = True
    whole: bool = True


def is_plain_path(path: str) -> bool:
    """Whether it means itself in a URL."""
    return _PLAIN.fullmatch(path) is not None


def is_wildcard(host: str) -> bool:
    """Whether it stands for many hosts."""
    return host.startswith("*")
