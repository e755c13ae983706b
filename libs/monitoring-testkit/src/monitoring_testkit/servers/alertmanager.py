"""A real Alertmanager on 127.0.0.1, which tells nobody."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from local_stack.processes import Child, free_port
from monitoring_testkit.servers.ready import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = "prometheus-alertmanager"
_CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def missing() -> str | None:
    """What this machine lacks to run an Alertmanager, or None."""
    return None if shutil.which(_PROGRAM) else "prometheus-alertmanager is not installed"


@attrs.frozen
class Alertmanager:
    """An Alertmanager that runs.

    Attributes:
        url: what its API is below.
    """

    url: str

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are active."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=5) as answer:  # noqa: S310
            found = json.load(answer)
        assert isinstance(found, list)
        return found


@contextlib.contextmanager
def alertmanager(port: int = 0) -> Iterator[Alertmanager]:
    """An Alertmanager that ends with the block, and keeps nothing.

    Args:
        port: where it listens; 0 for one that is free.
    """
    home, port = Path(tempfile.mkdtemp(prefix="alertmanager-")), port or free_port()
    (home / "alertmanager.yml").write_text(_CONFIG)
    arguments = [
        f"--config.file={home}/alertmanager.yml",
        f"--storage.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    child = Child("Alertmanager", [_PROGRAM, *arguments], home / "log")
    try:
        wait_until_ready(child, f"http://127.0.0.1:{port}/-/ready")
        yield Alertmanager(f"http://127.0.0.1:{port}")
    finally:
        child.stop()
        shutil.rmtree(home, ignore_errors=True)
