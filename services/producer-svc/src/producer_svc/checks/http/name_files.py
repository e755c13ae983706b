"""What the files of this machine say of names: who is asked for them, and which are known."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from itertools import zip_longest
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# How often the files are looked at for changes.
_LOOK_EVERY_S = 1.0


@attrs.frozen
class Servers:
    """Who is asked, how long one is waited for (seconds), and how often all of them are asked."""

    addresses: tuple[str, ...] = ("127.0.0.1",)
    timeout_s: float = 5.0
    attempts: int = 2


@attrs.define
class Files:
    """What the machine's files say."""

    resolv_conf: Path
    hosts: Path
    servers: Servers = attrs.field(factory=Servers, init=False)
    known: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    _looked: float = attrs.field(default=-_LOOK_EVERY_S, init=False)
    _changed: dict[Path, float | None] = attrs.field(factory=dict, init=False)

    def look(self) -> None:
        """Read the files again that have changed."""
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY_S:
            return
        self._looked = now
        if self._has_changed(self.resolv_conf):
            self.servers = _read_resolv_conf(self.resolv_conf)
        if self._has_changed(self.hosts):
            self.known = _read_hosts(self.hosts)

    def _has_changed(self, path: Path) -> bool:
        try:
            changed: float | None = path.stat().st_mtime
        except OSError:
            changed = None
        if path in self._changed and self._changed[path] == changed:
            return False
        self._changed[path] = changed
        return True


def _read_resolv_conf(path: Path) -> Servers:
    """The resolver of this machine when the file names none, as resolv.conf(5) has it."""
    servers = Servers(())
    for line in _lines(path, "#;"):
        keyword, *words = line.split()
        if keyword == "nameserver" and words and is_address(words[0]):
            servers = attrs.evolve(servers, addresses=(*servers.addresses, words[0]))
        for option in words if keyword == "options" else ():
            name, _, number = option.partition(":")
            if name == "timeout" and number.isdecimal():
                servers = attrs.evolve(servers, timeout_s=min(max(1, int(number)), 30))
            elif name == "attempts" and number.isdecimal():
                servers = attrs.evolve(servers, attempts=min(max(1, int(number)), 5))
    return servers if servers.addresses else attrs.evolve(servers, addresses=Servers().addresses)


def _read_hosts(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _lines(path, "#"):
        address, *names = line.split()
        if is_address(address):
            for name in names:
                found.setdefault(name.lower(), []).append(address)
    return {name: in_turn(addresses) for name, addresses in found.items()}


def _lines(path: Path, comments: str) -> Iterable[str]:
    """The lines of a file that say something; none when it cannot be read."""
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            for sign in comments:
                line = line.partition(sign)[0]
            if line.strip():
                yield line


def is_address(text: str) -> bool:
    """Whether it is an IP address, perhaps one on a link."""
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def in_turn(addresses: Iterable[str]) -> list[str]:
    """IPv6 and IPv4 in turn (RFC 8305, section 4), each once."""
    unique = list(dict.fromkeys(addresses))
    six, four = ([one for one in unique if (":" in one) == of_six] for of_six in (True, False))
    return [one for pair in zip_longest(six, four) for one in pair if one]
