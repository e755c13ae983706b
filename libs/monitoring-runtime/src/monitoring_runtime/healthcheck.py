"""`python -m monitoring_runtime.healthcheck`: whether the container's service is alive, for Docker's HEALTHCHECK."""

from __future__ import annotations

import http.client
import sys
from typing import TYPE_CHECKING

from monitoring_core.config import ConfigError, load_metrics

if TYPE_CHECKING:
    from monitoring_core.config import MetricsConfig

_TIMEOUT_S = 5.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (the addresses that the service listens on)


def ask(config: MetricsConfig) -> tuple[bool, str]:
    """Whether `/healthz` says yes, and one line about it. A service without an endpoint counts as alive."""
    if not config.enabled:
        return True, "metrics.enabled is false: nothing to ask"
    if not config.port:
        return True, "metrics.port is 0: any free one, which only the log names"
    host = _ANY_ADDRESS.get(config.host, config.host)
    connection = http.client.HTTPConnection(host, config.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == http.client.OK, answer.read(1_000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"{host}:{config.port} does not answer: {error}"
    finally:
        connection.close()


def main() -> int:
    """The exit status: 0 when alive, otherwise 1, the only two that Docker allows."""
    try:
        healthy, line = ask(load_metrics())
    except ConfigError as error:
        healthy, line = False, str(error)
    print(line)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
