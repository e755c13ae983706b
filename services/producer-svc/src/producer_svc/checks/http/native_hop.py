"""What the engine native measured in a hop, added to the check that the hop is a part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe_transport import Answer
    from producer_svc.checks.http.exchange import Exchange


def measure(exchange: Exchange, answer: Answer, authorities: str) -> None:
    """Add what was measured in a hop to its exchange. The trusted authorities are in PEM."""
    if exchange.hops or exchange.only:
        exchange.dns_s = _sum(exchange.dns_s, answer.dns_s)
        exchange.connect_s = _sum(exchange.connect_s, answer.connect_s)
        exchange.tls_s = _sum(exchange.tls_s, answer.tls_s)
        exchange.first_byte_s = _sum(exchange.first_byte_s, answer.first_byte_s)
    else:
        exchange.began(answer.started)
        exchange.dns_s, exchange.connect_s = answer.dns_s, answer.connect_s
        exchange.tls_s, exchange.first_byte_s = answer.tls_s, answer.first_byte_s
    exchange.ended = answer.ended
    exchange.stalled_s += answer.stalled_s
    exchange.remote_address = answer.address or exchange.remote_address
    exchange.attempts = answer.attempts
    exchange.presented(answer.certificates, authorities)
    exchange.transfer_s = answer.transfer_s
    exchange.http_version = answer.http_version or exchange.http_version
    if answer.tls_version:
        exchange.tls_version, exchange.tls_resumed = answer.tls_version, answer.resumed


def _sum(before: float | None, more: float | None) -> float | None:
    return before if more is None else (before or 0.0) + more
