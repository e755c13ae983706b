"""`producer-svc run`: check the websites of one range until a signal comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


class _ProducerId(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases alone
    name = "producer id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        text = str(value)
        if text == "auto":
            return None
        if not (text.isascii() and text.isdecimal() and len(text) <= 10 and 1 <= int(text) < 2**31):
            self.fail(f"{text[:20]!r} is neither auto nor a whole number from 1 to {2**31 - 1}", param, ctx)
        return int(text)


@click.command(
    epilog=examples("producer-svc run --id 1 --config config.yaml", "producer-svc run --id auto --set metrics.port=0")
)
@click.option(
    "--id",
    "producer_id",
    type=_ProducerId(),
    metavar="INTEGER|auto",
    required=True,
    help="This producer's one-based ID: it works the ID-th range of monitor.websites_per_container websites. "
    "With auto, the lowest ID that is needed and free.",
)
@config_options
def run(config: Config, producer_id: int | None) -> None:
    """Check the websites of one range until SIGTERM or Ctrl-C.

    One producer holds an ID at a time; another one with the same ID stands by and takes over when the first is gone.
    Ends with status 0 when every result is in Kafka or in the outbox, else with 1. A second signal ends it at once.
    """
    # Imported here: the clients of Kafka and PostgreSQL take longer to import than `probe` takes for a check.
    from producer_svc import wiring

    sys.exit(1 if wiring.run(config, producer_id) else 0)
