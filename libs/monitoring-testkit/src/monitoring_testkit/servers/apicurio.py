"""A real schema registry, Apicurio: one process that Java runs, fetched by Maven once. It keeps nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.processes import Child, free_port
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from monitoring_testkit.servers.ready import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

# Runs on Java 17, which Apache Kafka needs too.
_VERSION = "2.6.13.Final"
_GET = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_ARTIFACT = f"io.apicurio:apicurio-registry-app:{_VERSION}:tar.gz:all"


def missing() -> str | None:
    """What this machine lacks to run Apicurio, or None."""
    return ApacheKafka.missing()  # Java 17 and Maven


@contextlib.contextmanager
def apicurio() -> Iterator[str]:
    """A registry in memory that ends with the block: the URL of its Confluent-compatible API."""
    home, port = Path(tempfile.mkdtemp(prefix="apicurio-")), free_port()
    command = [
        "java",
        "-Xmx512m",
        "-XX:TieredStopAtLevel=1",
        f"-Dquarkus.http.port={port}",
        "-Dquarkus.http.host=127.0.0.1",
        "-jar",
        str(_program()),
    ]
    child = Child("Apicurio", command, home / "log")
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    try:
        wait_until_ready(child, f"{url}/subjects")
        yield url
    finally:
        child.stop()
        shutil.rmtree(home, ignore_errors=True)


def _program() -> Path:
    """The jar to run; its libraries are beside it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "website-availability-monitor" / f"apicurio-{_VERSION}"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        arguments = ["-q", "-B", _GET, f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={folder}"]
        done = subprocess.run(["mvn", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"Maven cannot fetch Apicurio: {(done.stdout + done.stderr)[-500:]}"
        archive = next(folder.glob("*.tar.gz"))
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        archive.unlink()
        (folder / "complete").touch()
    return folder / f"apicurio-registry-app-{_VERSION}-runner.jar"
