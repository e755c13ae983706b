"""The text of the metrics (Prometheus documentation, "Exposition formats").

What is not known has no series: a status that nobody knows is neither 0 nor 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from status_svc.metrics_websites.places import Places, Texts

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_SUCCESS: dict[str | None, str] = {"up": "1", "down": "0"}
_BY_BODY = "body_mismatch"


def page(places: Places, labels: Mapping[str, Texts], omitted: int) -> bytes:
    """The metrics of places.

    Args:
        labels: by name, the value for each place.
        omitted: how many places are left out.
    """
    return "".join(_parts(places, list(_names(places, labels)), omitted)).encode()


def _parts(places: Places, names: list[str], omitted: int) -> Iterator[str]:
    yield from _metric(
        "probe_success",
        "1 while the website is up, 0 while it is down; no series while nobody knows",
        names,
        map(_SUCCESS.get, places.status),
    )
    yield from _metric(
        "status_website_unknown",
        "1 while nobody knows whether the website is up, with the reason",
        [f'{name},reason="{_escaped(reason or "")}"' for name, reason in zip(names, places.reason, strict=True)],
        ("1" if status == "unknown" else None for status in places.status),
    )
    yield from _metric("status_last_check_timestamp_seconds", "When the newest check ended", names, places.checked_at)
    yield from _metric(
        "probe_duration_seconds",
        "From the start of the newest check to the last byte of the body",
        names,
        places.response_time_s,
    )
    yield from _metric(
        "probe_dns_lookup_time_seconds", "Time of the name look-ups of the newest check", names, places.dns_s
    )
    yield from _phases(places, names)
    yield from _metric("probe_http_status_code", "Status code of the last response", names, places.http_status)
    yield from _metric(
        "probe_http_ssl",
        "1 when the newest check had TLS on a connection",
        names,
        (code and ("1" if tls else "0") for code, tls in zip(places.http_status, places.tls_version, strict=True)),
    )
    yield from _metric("probe_http_version", "HTTP version of the last response", names, places.http_version)
    yield from _metric("probe_http_redirects", "How many redirects the newest check followed", names, places.redirects)
    yield from _metric(
        "probe_http_uncompressed_body_length",
        "Bytes of the body that were read, after decompression",
        names,
        places.body_bytes,
    )
    yield from _metric(
        "probe_ip_protocol",
        "4 or 6: the version of IP of the last connection of the newest check",
        names,
        (address and ("6" if ":" in address else "4") for address in places.remote_address),
    )
    yield from _metric(
        "probe_failed_due_to_regex",
        "1 while the website is down because of what its answer says or does not say",
        names,
        (
            None if status == "unknown" else "1" if reason == _BY_BODY else "0"
            for status, reason in zip(places.status, places.reason, strict=True)
        ),
    )
    yield from _metric(
        "probe_tls_version_info",
        "TLS version of the last connection that had TLS",
        [f'{name},version="TLS {_escaped(tls or "")}"' for name, tls in zip(names, places.tls_version, strict=True)],
        ("1" if tls else None for tls in places.tls_version),
    )
    yield from _metric(
        "probe_ssl_earliest_cert_expiry",
        "The first end of the certificates seen last, in seconds since the epoch",
        names,
        places.expires_at,
    )
    yield _head(
        "status_omitted_places",
        "Targets and locations without metrics here, because there are more than status.max_metric_places",
    )
    yield f"status_omitted_places {omitted}\n"


def _phases(places: Places, names: list[str]) -> Iterator[str]:
    metric = "probe_http_duration_seconds"
    yield _head(metric, "Time of the newest check by phase, all redirects together")
    for phase, values in {
        "resolve": places.dns_s,
        "connect": places.connect_s,
        "tls": places.tls_s,
        "processing": places.first_byte_s,
        "transfer": places.transfer_s,
    }.items():
        yield from _lines(metric, [f'{name},phase="{phase}"' for name in names], values)


def _metric(metric: str, about: str, names: list[str], values: Iterable[str | None]) -> Iterator[str]:
    yield _head(metric, about)
    yield from _lines(metric, names, values)


def _head(metric: str, about: str) -> str:
    return f"# HELP {metric} {about}\n# TYPE {metric} gauge\n"


def _lines(metric: str, names: list[str], values: Iterable[str | None]) -> list[str]:
    return [f"{metric}{{{name}}} {value}\n" for name, value in zip(names, values, strict=True) if value is not None]


def _names(places: Places, labels: Mapping[str, Texts]) -> Iterator[str]:
    """The labels of each place as text. Of two that differ in no more than a password, one says its id."""
    first: dict[tuple[str | None, str | None], str | None] = {}
    stated = set(zip(places.url, places.location, strict=True))
    own = zip(places.target_id, places.url, places.location, *labels.values(), strict=True)
    for target_id, url, location, *values in own:
        instance = url or ""
        if first.setdefault((url, location), target_id) != target_id:
            instance += f"#target-{target_id}"
            # Somebody may have written just this as a URL.
            while (instance, location) in stated:
                instance += f"#target-{target_id}"
        name = f'instance="{_escaped(instance)}",location="{_escaped(location or "")}"'
        for label, value in zip(labels, values, strict=True):
            if value is not None:
                name += f',{label}="{_escaped(value)}"'
        yield name


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
