"""A world of names of its own: `unshare --net --mount python names_world.py ENGINE` prints what an engine finds in it.

Its resolver answers on 127.0.0.1 as resolvers in the world do. Three ports have a website: `fine` at both addresses of
this machine, `six_dead` and `four_dead` at one of them, while the other one swallows what comes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitoring_core.config import EngineName
from monitoring_core.result_lines import to_line
from monitoring_testkit.producer.probing import Prober, check, page
from monitoring_testkit.servers.resolver import (
    AAAA,
    CNAME,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    A,
    Resolver,
    record,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FOUR, SIX = "127.0.0.1", "::1"
# With what glibc passes over, too.
RESOLV_CONF = """\
nameserver dns.example.org
nameserver 127.0.0.1
search searched.test
unheard-of directive
options timeout:1 unheard-of:1 ndots:x attempts:1
"""
HOSTS = "127.0.0.1 written.test\n"


def addresses(name: str, kind: int, four: str | None = FOUR, six: str | None = None, ttl: int = 0) -> bytes:
    address = {A: four, AAAA: six}[kind]
    return said(record(name, kind, address, ttl)) if address else said()


def chained(name: str, kind: int) -> bytes:
    """Aliases of aliases, in another order than that of their use."""
    if kind == AAAA:
        return said()
    aliases = [record(f"c{n}.test", CNAME, f"c{n + 1}.test") for n in (3, 1, 2)]
    return said(*aliases, record(name, CNAME, "c1.test"), record("c4.test", A, FOUR))


NAMES: dict[str, Callable[[str, int], bytes | None]] = {
    "fine.test": addresses,
    "www.searched.test": addresses,
    "under_score.test": addresses,
    "xn--ls8h.test": addresses,
    "dual.test": lambda name, kind: addresses(name, kind, six=SIX),
    "six.test": lambda name, kind: addresses(name, kind, four=None, six=SIX),
    "kept.test": lambda name, kind: addresses(name, kind, ttl=60),
    "short.test": lambda name, kind: addresses(name, kind, ttl=1),
    "empty.test": lambda name, kind: addresses(name, kind, four=None),
    "servfail.test": lambda *_: said(code=SERVFAIL),
    "refused.test": lambda *_: said(code=REFUSED),
    "silent.test": lambda *_: None,
    "unable.test": lambda *_: said(code=4),
    "alias.test": chained,
    "circle.test": lambda name, _: said(record(name, CNAME, "round.test"), record("round.test", CNAME, name)),
    "dangling.test": lambda name, _: said(record(name, CNAME, "gone.test"), code=NXDOMAIN),
    "large.test": lambda *_: said(truncated=True),
    # What does not fit is left out byte by byte.
    "cut.test": lambda name, kind: said(record(name, A, FOUR), record(name, A, FOUR), truncated=True)[:-7],
    "closed.test": lambda *_: said(truncated=True),
    "six-servfail.test": lambda name, kind: addresses(name, kind) if kind == A else said(code=SERVFAIL),
    "six-nxdomain.test": lambda name, kind: addresses(name, kind) if kind == A else said(code=NXDOMAIN),
    "six-silent.test": lambda name, kind: addresses(name, kind) if kind == A else None,
}


def knows(name: str, kind: int) -> bytes | None:
    if name.startswith("many-"):
        return addresses(name, kind, ttl=1)
    return NAMES[name](name, kind) if name in NAMES else said(code=NXDOMAIN)


def bring_up_loopback() -> None:
    with socket.socket() as any_socket:
        # SIOCSIFFLAGS with IFF_UP and IFF_RUNNING: linux/sockios.h, linux/if.h.
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))


def put_files() -> Path:
    """Lay this world's files over the machine's, in this mount namespace alone. Returns the folder that has them."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    folder = Path(tempfile.mkdtemp())
    for name, content in (("resolv.conf", RESOLV_CONF), ("hosts", HOSTS)):
        (folder / name).write_text(content)
        subprocess.run(["mount", "--bind", str(folder / name), str(Path("/etc", name).resolve())], check=True)
    return folder


def serve(family: socket.AddressFamily, host: str, port: int) -> None:
    listener = socket.create_server((host, port), family=family, backlog=1024)

    def loop() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(page())

    threading.Thread(target=loop, daemon=True).start()


def swallow(family: socket.AddressFamily, host: str, port: int) -> list[socket.socket]:
    """An address that answers nothing, as behind a firewall that drops."""
    listener = socket.socket(family)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((host, port))
    listener.listen(0)
    kept = [listener]
    for _ in range(4):
        filler = socket.socket(family)
        filler.setblocking(False)
        filler.connect_ex((host, port))
        kept.append(filler)
    return kept


PORTS = {"fine": 8001, "six_dead": 8002, "four_dead": 8003}


def with_a_dead_resolver(engine: EngineName, folder: Path) -> dict[str, Any]:
    """A first resolver that is dead."""
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.2", 53))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.2\nnameserver 127.0.0.1\n")
    result = check(Prober(engine), f"http://fine.test:{PORTS['fine']}/", timeout_s=2.0)
    silent.close()
    (folder / "resolv.conf").write_text(RESOLV_CONF)
    return {"a first resolver that is dead": json.loads(to_line(result))}


def without_ipv6(engine: EngineName) -> dict[str, Any]:
    """As in many a container: IPv6 is switched off, though websites have addresses of it."""
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    found, probe = {}, Prober(engine)
    for name, url in {
        "both": f"http://dual.test:{PORTS['fine']}/",
        "both, refused": "http://dual.test:9/",
        "six alone": f"http://six.test:{PORTS['fine']}/",
    }.items():
        found[f"without IPv6: {name}"] = json.loads(to_line(check(probe, url)))
    return found


def with_many_descriptors(engine: EngineName) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4_096, 4_096))
    kept = [Path("/dev/null").open() for _ in range(1_100)]  # noqa: SIM115 (they are to stay open)
    result = check(Prober(engine), f"http://fine.test:{PORTS['fine']}/")
    for file in kept:
        file.close()
    return {"with many descriptors": json.loads(to_line(result))}


def main(engine: EngineName) -> dict[str, Any]:
    bring_up_loopback()
    folder = put_files()
    resolver = Resolver(port=53)
    resolver.knows = knows
    resolver.over_tcp = lambda name, kind: None if name == "closed.test" else addresses(name, kind)
    serve(socket.AF_INET, FOUR, PORTS["fine"])
    serve(socket.AF_INET6, SIX, PORTS["fine"])
    kept = swallow(socket.AF_INET6, SIX, PORTS["six_dead"])
    serve(socket.AF_INET, FOUR, PORTS["six_dead"])
    kept += swallow(socket.AF_INET, FOUR, PORTS["four_dead"])
    serve(socket.AF_INET6, SIX, PORTS["four_dead"])
    time.sleep(0.1)
    probe, found = Prober(engine), {}
    hosts = [*NAMES, "gone.test", "www", "written.test", "localhost", "a.localhost", "fine.test."]
    cases = [(host, "fine") for host in (*hosts, "💩.test", "x" * 64 + ".test")]
    for host, port in [*cases, ("dual.test", "six_dead"), ("dual.test", "four_dead"), ("localhost", "six_dead")]:
        result = check(probe, f"http://{host}:{PORTS[port]}/", timeout_s=3.0)
        found[f"{host} {port}"] = json.loads(to_line(result))
    for family in ("ipv4", "ipv6"):
        result = check(probe, f"http://dual.test:{PORTS['fine']}/", address_family=family)
        found[family] = json.loads(to_line(result))
    for timeout_s in (0.4, 1.0):
        result = check(probe, f"http://silent.test:{PORTS['fine']}/", timeout_s=timeout_s)
        found[f"within {timeout_s:g} s"] = json.loads(to_line(result))

    def asked(name: str, probe: Prober, pause_s: float = 0.0) -> int:
        """How many questions two checks of a name ask."""
        before = len(resolver.asked)
        for _ in range(2):
            assert check(probe, f"http://{name}:{PORTS['fine']}/").error is None
            time.sleep(pause_s)
        return len(resolver.asked) - before

    forgetful = Prober(engine, dns_cache=False)
    found["asked"] = {
        "kept": asked("kept.test", Prober(engine)),
        "over": asked("short.test", Prober(engine), pause_s=1.1),
        "not to be kept": asked("fine.test", Prober(engine)),
        "switched off": asked("kept.test", forgetful),
    }
    found["many"] = [
        check(probe, f"http://many-{n}.test:{PORTS['fine']}/").error for _ in range(2) for n in range(1_000)
    ]
    assert kept
    found |= with_many_descriptors(engine) | with_a_dead_resolver(engine, folder) | without_ipv6(engine)
    return found


if __name__ == "__main__":
    print(json.dumps(main(EngineName(sys.argv[1]))))
