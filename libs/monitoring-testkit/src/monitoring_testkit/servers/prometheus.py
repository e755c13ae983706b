"""A real Prometheus on 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from local_stack.processes import Child, free_port
from monitoring_testkit.servers.ready import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def missing() -> str | None:
    """What this machine lacks to run a Prometheus, or None."""
    return None if shutil.which("prometheus") and shutil.which("promtool") else "prometheus is not installed"


@attrs.frozen
class Prometheus:
    """A Prometheus that runs.

    Attributes:
        url: what its API is below.
    """

    url: str

    def get(self, path: str, **parameters: str | float) -> Any:
        """The data of an answer of the API.

        Raises:
            AssertionError: Prometheus refuses the question; the message says why.
        """
        question = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(question, timeout=30) as answer:  # noqa: S310
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression: str, at_s: float) -> list[dict[str, Any]]:
        """The series of an expression at one moment, seconds since the epoch."""
        return list(self.get("query", query=expression, time=at_s)["result"])

    def query_range(self, expression: str, start_s: float, end_s: float, step_s: float) -> list[dict[str, Any]]:
        """The series of an expression over a time, seconds since the epoch."""
        found = self.get("query_range", query=expression, start=start_s, end=end_s, step=step_s)
        return list(found["result"])


def _job(name: str, url: urllib.parse.SplitResult) -> dict[str, Any]:
    return {
        "job_name": name,
        "honor_labels": True,
        "metrics_path": url.path,
        "static_configs": [{"targets": [url.netloc]}],
    }


@contextlib.contextmanager
def prometheus(jobs: Mapping[str, str], rules: Sequence[Path] = ()) -> Iterator[Prometheus]:
    """A Prometheus that ends with the block, and keeps nothing.

    Args:
        jobs: the URL of the metrics of each job; labels of the metrics win over those of the job.
        rules: files of rules.
    """
    home, port = Path(tempfile.mkdtemp(prefix="prometheus-")), free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rule) for rule in rules],
        "scrape_configs": [_job(name, urllib.parse.urlsplit(url)) for name, url in jobs.items()],
    }
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    arguments = [
        f"--config.file={home}/prometheus.yml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    child = Child("Prometheus", ["prometheus", *arguments], home / "log")
    try:
        wait_until_ready(child, f"http://127.0.0.1:{port}/-/ready")
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        child.stop()
        shutil.rmtree(home, ignore_errors=True)
