"""What a container's HEALTHCHECK says about the service beside it."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from monitoring_core.config import MetricsConfig
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.health import Health
from monitoring_runtime.healthcheck import ask, main

if TYPE_CHECKING:
    from pathlib import Path


def healthcheck(tmp_path: Path, metrics: str) -> tuple[int, str]:
    """The exit status and the line of the command."""
    config = tmp_path / "config.yaml"
    config.write_text(f"metrics: {metrics}\n")
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.setenv("MONITORING_CONFIG", str(config))
        status = main()
    assert stderr.getvalue() == ""
    return status, stdout.getvalue().strip()


def test_it_says_what_healthz_says(tmp_path: Path) -> None:
    """A service is alive exactly while its loop makes iterations, even when it is not ready."""
    for max_age_s, expected, words in ((60.0, 0, "ok"), (0.0, 1, "the loop has not turned for ")):
        with Endpoint(MetricsConfig(port=0), CollectorRegistry(), Health(max_age_s)) as endpoint:
            status, line = healthcheck(tmp_path, f"{{port: {endpoint.port}}}")
        assert (status, line.startswith(words)) == (expected, True)


def test_a_service_that_does_not_answer_is_not_alive(tmp_path: Path) -> None:
    """With the address that was asked."""
    with Endpoint(MetricsConfig(host="127.0.0.1", port=0), CollectorRegistry(), Health()) as endpoint:
        port = endpoint.port
    status, line = healthcheck(tmp_path, f"{{port: {port}}}")
    assert (status, line.startswith(f"127.0.0.1:{port} does not answer: ")) == (1, True)


def test_a_service_without_an_endpoint_is_not_called_dead(tmp_path: Path) -> None:
    """Nothing is known to be wrong."""
    assert healthcheck(tmp_path, "{enabled: false}") == (0, "metrics.enabled is false: nothing to ask")


def test_a_wrong_configuration_is_said(tmp_path: Path) -> None:
    """The text is that of every other command; the status is 1, as Docker expects it."""
    status, line = healthcheck(tmp_path, "{port: 1x}")
    assert (status, line.partition(" ")[2]) == (1, "metrics.port: must be a whole number, got '1x'")


def test_it_needs_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has those of its own service alone, and the check asks for none of them."""
    monkeypatch.setenv("MONITORING__DATABASE__PASSWORD", "{file: /run/secrets/of-another}")
    with Endpoint(MetricsConfig(port=0), CollectorRegistry(), Health()) as endpoint:
        assert healthcheck(tmp_path, f"{{port: {endpoint.port}}}") == (0, "ok")


def test_a_service_that_accepts_and_says_nothing_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs does not hang its check."""
    monkeypatch.setattr("monitoring_runtime.healthcheck._TIMEOUT_S", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert ask(MetricsConfig(host="127.0.0.1", port=port)) == (
            False,
            f"127.0.0.1:{port} does not answer: timed out",
        )


def test_it_is_a_command_of_its_own(tmp_path: Path) -> None:
    """As a container runs it: one line on standard output, and the status."""
    config = tmp_path / "config.yaml"
    config.write_text("metrics: {enabled: false}\n")
    done = subprocess.run(
        [sys.executable, "-m", "monitoring_runtime.healthcheck"],
        env=os.environ | {"MONITORING_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "metrics.enabled is false: nothing to ask\n"
