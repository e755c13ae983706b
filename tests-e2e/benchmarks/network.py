"""Benchmarks with names: a network namespace for the prober, and one with a resolver and nginx on its other side.

Each benchmark that asks for them runs itself again in the prober's namespace (`enter`), so that whatever it starts is
there, real servers too. The website and the resolver are started from there in the other one (`website`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import attrs
import trustme

from local_stack.processes import Child
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOMAIN = "bench.test"
WEBSITE, PROBER = "10.0.0.1", "10.0.0.2"
HTTP_PORT, ECDSA_PORT, RSA_PORT, COUNTER_PORT, DELAYED_PORT = 80, 443, 444, 8080, 8081
# What nginx answers: 1 kB, which the regular expression matches at its end.
BODY = "<html><body>" + "All is well. " * 80 + "</body></html>"
PATTERN = "is well[.] </body>"
# The name of the website's namespace, for the program that runs in the prober's.
_ENTERED = "BENCHMARK_WEBSITE_NAMESPACE"
_RESOLVERS = Path("/etc/netns")
_PROGRAMS = {"ip": "iproute2", "taskset": "util-linux", "nginx": "nginx-light", "dnsmasq": "dnsmasq-base"}
_START_S = 10.0
_STOP_S = 90.0


def missing(has: Callable[[str], str | None] = shutil.which, user: int | None = None) -> str | None:
    """What this machine lacks, in one sentence; None when it has everything."""
    if (os.geteuid() if user is None else user) != 0:
        return "Only root can make network namespaces: run this benchmark as root."
    absent = [program for program in _PROGRAMS if not has(program)]
    if not absent:
        return None
    return f"{' and '.join(absent)} not found: apt-get install {' '.join(_PROGRAMS[program] for program in absent)}"


def enter() -> None:
    """Run this program again in a namespace of its own and end with its status; return in the one that runs there."""
    # A Ctrl-C or a SIGTERM ends every block in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if _ENTERED not in os.environ:
        _run_inside()


def _run_inside() -> NoReturn:
    if problem := missing():
        sys.exit(problem)
    with _namespaces() as (prober, other):
        command = ["ip", "netns", "exec", prober, sys.executable, *sys.argv]
        # In a session of its own, so that a Ctrl-C reaches it once: from here.
        process = subprocess.Popen(command, env=os.environ | {_ENTERED: other}, start_new_session=True)
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)


@contextlib.contextmanager
def _namespaces() -> Iterator[tuple[str, str]]:
    """The prober's namespace and the website's, joined by a cable. What is left running in them ends with them."""
    prober, other = (f"bench-{os.getpid()}-{side}" for side in ("prober", "website"))
    try:
        for name in (prober, other):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", "cable", "netns", prober, "type", "veth", "peer", "name", "cable", "netns", other)
        for name, address in ((prober, PROBER), (other, WEBSITE)):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
        (_RESOLVERS / prober).mkdir(parents=True)
        (_RESOLVERS / prober / "resolv.conf").write_text(f"nameserver {WEBSITE}\n")
        yield prober, other
    finally:
        for name in (prober, other):
            _remove(name)


def _remove(name: str) -> None:
    for pid in subprocess.run(
        ["ip", "netns", "pids", name], capture_output=True, text=True, check=False
    ).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    shutil.rmtree(_RESOLVERS / name, ignore_errors=True)
    with contextlib.suppress(OSError):  # there are others, or there is none
        _RESOLVERS.rmdir()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StopError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@attrs.define
class Website:
    """The website, as one who measures sees it."""

    authorities: dict[str, Path]
    _own: int = attrs.field(init=False, default=0)

    def url(self, scheme: str, number: int | str = "{n}") -> str:
        """The URL of a website of this number. The scheme is http, ecdsa, rsa or delayed."""
        host = f"w{number}.{DOMAIN}"
        return {
            "http": f"http://{host}/",
            "ecdsa": f"https://{host}/",
            "rsa": f"https://{host}:{RSA_PORT}/",
            "delayed": f"http://{host}:{DELAYED_PORT}/{number}",
        }[scheme]

    def answered(self) -> int:
        """How many requests nginx has answered to others than this function."""
        self._own += 1
        with urllib.request.urlopen(f"http://{WEBSITE}:{COUNTER_PORT}/", timeout=5) as page:
            return parse_counter(page.read().decode()) - self._own


def parse_counter(page: str) -> int:
    """The requests that nginx has had, from a page of ngx_http_stub_status_module."""
    found = re.search(r"^server accepts handled requests\n \d+ \d+ (\d+)", page, re.MULTILINE)
    if not found:
        raise StopError(f"not a page of nginx's stub_status: {page!r}")
    return int(found[1])


@contextlib.contextmanager
def website(directory: Path, ttl_s: int) -> Iterator[Website]:
    """The resolver, nginx and the delayed website in their namespace, for as long as the block."""
    authorities = {kind: _certificates(directory, kind) for kind in ("ecdsa", "rsa")}
    (directory / "nginx.conf").write_text(_nginx_conf(directory))
    commands = {
        "nginx": ["nginx", "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx.conf")],
        "dnsmasq": _dnsmasq(ttl_s),
    }
    children: list[Child] = []
    try:
        for name, command in commands.items():
            children.append(Child(name, in_its_namespace(command), directory / f"{name}.log"))
        found = Website(authorities)
        _wait_for(found, children)
        yield found
    finally:
        for child in children:
            child.stop(10)


def in_its_namespace(command: list[str]) -> list[str]:
    """The command, run on the website's side."""
    return ["ip", "netns", "exec", os.environ[_ENTERED], *command]


def _wait_for(found: Website, children: list[Child]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        for child in children:
            if child.status is not None:
                raise StopError(f"{child.name} ended with status {child.status}: {child.last_lines()}")
        try:
            urllib.request.urlopen(found.url("http", 1), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _dnsmasq(ttl_s: int) -> list[str]:
    """Answers every name of the domain itself, without a cache, and asks nobody."""
    return [
        *("dnsmasq", "--keep-in-foreground", "--user=root", "--conf-file=/dev/null", "--pid-file="),
        *("--no-resolv", "--no-hosts", "--cache-size=0", f"--listen-address={WEBSITE}", "--bind-interfaces"),
        *(f"--address=/{DOMAIN}/{WEBSITE}", f"--local=/{DOMAIN}/", f"--local-ttl={ttl_s}"),
    ]


def _certificates(directory: Path, kind: str) -> Path:
    """A chain with an intermediate, all its keys of this kind; the file of the authority at its root."""
    key_type = trustme.KeyType[kind.upper()]
    authority = trustme.CA(key_type=key_type)
    issued = authority.create_child_ca(key_type=key_type).issue_cert(f"*.{DOMAIN}", key_type=key_type)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    (directory / f"{kind}.chain").write_bytes(chain)
    issued.private_key_pem.write_to_path(str(directory / f"{kind}.key"))
    authority.cert_pem.write_to_path(str(directory / f"{kind}.ca"))
    return directory / f"{kind}.ca"


def _nginx_conf(directory: Path) -> str:
    """No log, since its lines would cost the website time; the counter says how many requests there were."""
    secure = "".join(
        f"server {{ listen {WEBSITE}:{port} ssl backlog=4096; server_name {kind}; ssl_certificate {kind}.chain; "
        f"ssl_certificate_key {kind}.key; ssl_session_tickets off; location / {{ return 200 '{BODY}'; }} }}\n"
        for kind, port in (("ecdsa", ECDSA_PORT), ("rsa", RSA_PORT))
    )
    return f"""daemon off; user root; worker_processes 1; pid {directory}/nginx.pid; worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
access_log off; default_type text/html; keepalive_timeout 5s;
client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
server {{ listen {WEBSITE}:{HTTP_PORT} backlog=4096; location / {{ return 200 '{BODY}'; }} }}
server {{ listen {WEBSITE}:{COUNTER_PORT}; location / {{ stub_status; }} }}
{secure}}}
"""
