"""An outage in the log."""

from __future__ import annotations

from structlog.testing import capture_logs

from monitoring_runtime.outage import Outage


def test_an_outage_is_told_when_it_begins_or_has_another_reason_and_when_it_is_over() -> None:
    """However often it is tried."""
    outage = Outage("waits", "goes on")
    with capture_logs() as logged:
        outage.ends()
        for why in ("a", "a", "b"):
            outage.lasts(why)
            assert outage.why == why
        for _ in range(2):
            outage.ends()
            assert outage.why is None
    assert [(line["event"], line.get("error")) for line in logged] == [
        ("waits", "a"),
        ("waits", "b"),
        ("goes on", None),
    ]
