"""Other probers that may be on PATH, configured for a producer's job: its URLs, interval and regular expression."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs
from network import PATTERN

from local_stack.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT = "900ms"
# Telegraf asks the URLs of one plugin one after the other; this many plugins ask at once.
_PLUGINS = 20


@attrs.frozen
class Job:
    """What is to be checked, and where results go."""

    urls: list[str]
    interval_s: int
    authority: Path
    bootstrap_servers: str
    topic: str
    directory: Path


@attrs.frozen
class Start:
    """How a configured prober is started, and whoever has to ask it for checks."""

    command: list[str]
    env: dict[str, str] = attrs.field(factory=dict)
    asker: list[str] | None = None


@attrs.frozen
class Peer:
    """A prober under the names that its program may have."""

    name: str
    programs: tuple[str, ...]
    configure: Callable[[str, Job], Start]
    # What its message in Kafka contains when the website is up; None when it stores nothing there.
    up: bytes | None = None

    @property
    def program(self) -> str | None:
        """The program's path; None when it is not on PATH."""
        return next((found for name in self.programs if (found := shutil.which(name))), None)


def telegraf(jitter: bool) -> Callable[[str, Job], Start]:
    """Telegraf with all plugins at once at each interval, or each at a moment of its own within the interval."""

    def configure(program: str, job: Job) -> Start:
        file = job.directory / "telegraf.conf"
        file.write_text(telegraf_conf(job, jitter))
        return Start([program, "--config", str(file), "--quiet"])

    return configure


def telegraf_conf(job: Job, jitter: bool) -> str:
    """Telegraf's configuration, in TOML, whose strings are written as those of JSON."""
    agent: dict[str, object] = {
        "interval": f"{job.interval_s}s",
        "collection_jitter": f"{job.interval_s if jitter else 0}s",
        "flush_interval": "1s",
        "metric_buffer_limit": 100_000,
        "omit_hostname": False,
        "skip_processors_after_aggregators": True,
    }
    plugin: dict[str, object] = {"method": "GET", "response_timeout": _TIMEOUT, "response_string_match": PATTERN}
    output: dict[str, object] = {"brokers": [job.bootstrap_servers], "topic": job.topic, "data_format": "json"}
    count = min(_PLUGINS, len(job.urls))
    tables: list[tuple[str, dict[str, object]]] = [("[agent]", agent), ("[[outputs.kafka]]", output)]
    tables += [("[[inputs.http_response]]", {"urls": job.urls[first::count]} | plugin) for first in range(count)]
    return "\n".join(_toml(heading, values) for heading, values in tables)


def _toml(heading: str, values: dict[str, object]) -> str:
    return "\n".join([heading, *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""])


def gatus(program: str, job: Job) -> Start:
    """Gatus; it stores in memory, since it has no Kafka."""
    conditions = ["[STATUS] == 200", "[BODY] == pat(*is well. </body>*)"]
    endpoint = {"interval": f"{job.interval_s}s", "client": {"timeout": _TIMEOUT}, "conditions": conditions}
    content = {
        "web": {"address": "127.0.0.1", "port": free_port()},
        # No bound on how many checks it makes at once, in the words of newer and of older versions.
        "concurrency": 0,
        "disable-monitoring-lock": True,
        "endpoints": [{"name": f"w{n}", "url": url} | endpoint for n, url in enumerate(job.urls)],
    }
    file = job.directory / "gatus.yaml"
    file.write_text(json.dumps(content))
    return Start([program], {"GATUS_CONFIG_PATH": str(file), "GATUS_LOG_LEVEL": "ERROR"})


def blackbox_exporter(program: str, job: Job) -> Start:
    """blackbox_exporter, which keeps nothing: somebody asks it for each check, as Prometheus does."""
    http = {
        "preferred_ip_protocol": "ip4",
        "fail_if_body_not_matches_regexp": [PATTERN],
        "tls_config": {"ca_file": str(job.authority)},
    }
    file, port = job.directory / "blackbox.yml", free_port()
    file.write_text(json.dumps({"modules": {"check": {"prober": "http", "timeout": _TIMEOUT, "http": http}}}))
    targets = job.directory / "blackbox.targets"
    targets.write_text("\n".join(job.urls))
    asker = [sys.executable, str(Path(__file__).with_name("ask_blackbox.py")), str(port), str(job.interval_s)]
    command = [program, f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    return Start(command, asker=[*asker, str(targets)])


def cloudprober(program: str, job: Job) -> Start:
    """Cloudprober, with no surfacer: it counts, and stores nothing."""
    url = urlsplit(job.urls[0])
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    hosts = ",".join(urlsplit(url).hostname or "" for url in job.urls)
    file = job.directory / "cloudprober.cfg"
    file.write_text(
        f'probe {{ name: "check" type: HTTP targets {{ host_names: "{hosts}" }}\n'
        f'interval: "{job.interval_s}s" timeout: "{_TIMEOUT}"\n'
        f"http_probe {{ scheme: {url.scheme.upper()} port: {port} "
        f'tls_config {{ ca_cert_file: "{job.authority}" }} }}\n'
        f'validator {{ name: "body" regex: {json.dumps(PATTERN)} }} }}\n'
        f"surfacer {{}}\nport: {free_port()}\n"
    )
    return Start([program, f"--config_file={file}"])


PEERS = (
    Peer("Telegraf, bursts", ("telegraf",), telegraf(jitter=False), b'"result_type":"success"'),
    Peer("Telegraf, spread", ("telegraf",), telegraf(jitter=True), b'"result_type":"success"'),
    Peer("Gatus", ("gatus",), gatus),
    Peer("blackbox_exporter", ("blackbox_exporter", "prometheus-blackbox-exporter"), blackbox_exporter),
    Peer("cloudprober", ("cloudprober",), cloudprober),
)


def found() -> tuple[list[Peer], list[str]]:
    """The peers that are on PATH, and the programs of those that are not."""
    there = [peer for peer in PEERS if peer.program]
    absent = dict.fromkeys(peer.programs[0] for peer in PEERS if not peer.program)
    return there, list(absent)
