"""The text of the metrics (Prometheus documentation, "Exposition formats").

What is not known has no series: a status that nobody knows is neither 0 nor 1.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from status_svc.metrics_websites.places import Place

_ABOUT = {
    "probe_success": "1 while the website is up, 0 while it is down; no series while nobody knows",
    "status_website_unknown": "1 while nobody knows whether the website is up, with the reason",
    "status_last_check_timestamp_seconds": "When the newest check ended",
    "probe_duration_seconds": "Time from the start of the newest check to the last byte of the body",
    "probe_dns_lookup_time_seconds": "Time of the name look-ups of the newest check",
    "probe_http_duration_seconds": "Time of the newest check by phase, all redirects together",
    "probe_http_status_code": "Status code of the last response",
    "probe_http_ssl": "1 when the newest check had TLS on a connection",
    "probe_http_version": "HTTP version of the last response",
    "probe_http_redirects": "How many redirects the newest check followed",
    "probe_http_uncompressed_body_length": "Bytes of the body that were read, after decompression",
    "probe_failed_due_to_regex": "1 while the website is down because of what its body says or does not say",
    "probe_tls_version_info": "TLS version of the last connection that had TLS",
    "probe_ssl_earliest_cert_expiry": "The first end of the certificates seen last, in seconds since the epoch",
}
_OMITTED = "status_omitted_places"
_OMITTED_ABOUT = "Targets and locations without metrics here, because there are more than status.max_metric_places"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_BY_BODY = "body_mismatch"


def page(places: Iterable[tuple[Place, Sequence[str | None]]], labels: Sequence[str], omitted: int) -> bytes:
    """The metrics of places, each with the values of these labels."""
    lines: dict[str, list[str]] = defaultdict(list)
    for place, name in _named(places, labels):
        _tell(lines, place, name)
    text = []
    for metric, about in _ABOUT.items():
        if metric in lines:
            text.append(f"# HELP {metric} {about}\n# TYPE {metric} gauge\n")
            text += lines[metric]
    text.append(f"# HELP {_OMITTED} {_OMITTED_ABOUT}\n# TYPE {_OMITTED} gauge\n{_OMITTED} {omitted}\n")
    return "".join(text).encode()


def _named(places: Iterable[tuple[Place, Sequence[str | None]]], labels: Sequence[str]) -> Iterable[tuple[Place, str]]:
    """Each place with its labels as text. Of two that differ in no more than a password, one says its id."""
    first: dict[tuple[str, str], int] = {}
    for place, values in places:
        instance = place.url
        if first.setdefault((place.url, place.location), place.target_id) != place.target_id:
            instance = f"{place.url}#target-{place.target_id}"
        name = f'instance="{_escaped(instance)}",location="{_escaped(place.location)}"'
        for label, value in zip(labels, values, strict=True):
            if value is not None:
                name += f',{label}="{_escaped(value)}"'
        yield place, name


def _tell(lines: dict[str, list[str]], place: Place, name: str) -> None:
    if place.status == "unknown":
        lines["status_website_unknown"].append(
            f'status_website_unknown{{{name},reason="{_escaped(place.reason or "")}"}} 1\n'
        )
    else:
        up = int(place.status == "up")
        lines["probe_success"].append(f"probe_success{{{name}}} {up}\n")
        by_body = int(place.reason == _BY_BODY)
        lines["probe_failed_due_to_regex"].append(f"probe_failed_due_to_regex{{{name}}} {by_body}\n")
    for metric, value in (
        ("status_last_check_timestamp_seconds", place.checked_at),
        ("probe_duration_seconds", place.response_time_s),
        ("probe_dns_lookup_time_seconds", place.dns_s),
        ("probe_http_status_code", place.http_status),
        ("probe_http_redirects", place.redirects),
        ("probe_http_version", place.http_version),
        ("probe_http_uncompressed_body_length", place.body_bytes),
        ("probe_ssl_earliest_cert_expiry", place.expires_at),
    ):
        if value is not None:
            lines[metric].append(f"{metric}{{{name}}} {value}\n")
    for phase, seconds in (
        ("resolve", place.dns_s),
        ("connect", place.connect_s),
        ("tls", place.tls_s),
        ("processing", place.first_byte_s),
        ("transfer", place.transfer_s),
    ):
        if seconds is not None:
            lines["probe_http_duration_seconds"].append(
                f'probe_http_duration_seconds{{{name},phase="{phase}"}} {seconds}\n'
            )
    if place.http_status is not None:
        lines["probe_http_ssl"].append(f"probe_http_ssl{{{name}}} {int(place.tls_version is not None)}\n")
    if place.tls_version is not None:
        lines["probe_tls_version_info"].append(
            f'probe_tls_version_info{{{name},version="TLS {_escaped(place.tls_version)}"}} 1\n'
        )


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
