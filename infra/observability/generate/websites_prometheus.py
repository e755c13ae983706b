"""Websites, from Prometheus: the metrics probe_* in the names of blackbox_exporter."""

from __future__ import annotations

from functools import partial

from grafana import Dashboard, Panel, Row, Variable

_OF = '{instance=~"$instance",location=~"$location"}'
_BY = "{{instance}} {{location}}"
_stat = partial(Panel, kind="stat", width=6, instant=True)


def dashboard() -> Dashboard:
    """The dashboard."""
    return Dashboard(
        "wam-websites-prometheus",
        "Websites (Prometheus)",
        "Websites from the metrics probe_*, which have the names that blackbox_exporter gave them.",
        ("prometheus",),
        (
            Variable("location", "Location", "label_values(probe_success, location)"),
            Variable("instance", "Website", 'label_values(probe_success{location=~"$location"}, instance)'),
        ),
        (Row("Now", _now()), Row("Response times", _times()), Row("What was seen", _seen())),
    )


def _now() -> tuple[Panel, ...]:
    return (
        _stat("Up", "Websites that are up, once for each location.", (f"sum(probe_success{_OF})",), "short"),
        _stat(
            "Down",
            "Websites that are down, once for each location.",
            (f"sum(1 - probe_success{_OF})",),
            "short",
            alarming=True,
        ),
        _stat(
            "Availability of the period",
            "Share of the time that websites were up, in the mean.",
            (f"avg(avg_over_time(probe_success{_OF}[$__range]))",),
            "percentunit",
        ),
        _stat(
            "Next certificate to end",
            "How long the first certificate is still valid.",
            (f"min(probe_ssl_earliest_cert_expiry{_OF}) - time()",),
            "s",
        ),
        Panel(
            "Success",
            "1 while a website is up from a location, 0 while it is down.",
            (f"probe_success{_OF}",),
            "short",
            (_BY,),
            width=12,
        ),
        Panel(
            "Locations that see it up",
            "Share of the locations, by website.",
            (f"avg by (instance) (probe_success{_OF})",),
            "percentunit",
            ("{{instance}}",),
            width=12,
        ),
    )


def _times() -> tuple[Panel, ...]:
    return (
        Panel("Duration", "How long the newest check took.", (f"probe_duration_seconds{_OF}",), "s", (_BY,)),
        Panel(
            "Duration by phase",
            "Mean of the chosen websites: resolve, connect, tls, processing, transfer.",
            (f"avg by (phase) (probe_http_duration_seconds{_OF})",),
            "s",
            ("{{phase}}",),
            stacked=True,
        ),
        Panel("Name look-up", "How long the resolver took.", (f"probe_dns_lookup_time_seconds{_OF}",), "s", (_BY,)),
    )


def _seen() -> tuple[Panel, ...]:
    return (
        Panel("Status code", "Status code of the last answer.", (f"probe_http_status_code{_OF}",), "none", (_BY,)),
        Panel(
            "HTTP version",
            "Websites by the version of HTTP that they answered with.",
            (f'count_values by (location) ("version", probe_http_version{_OF})',),
            "short",
            ("{{version}} {{location}}",),
        ),
        Panel(
            "TLS version",
            "Websites by the version of TLS.",
            (f"count by (version) (probe_tls_version_info{_OF})",),
            "short",
            ("{{version}}",),
        ),
        Panel("Redirects", "How many redirects were followed.", (f"probe_http_redirects{_OF}",), "short", (_BY,)),
        Panel("TLS", "1 where the last answer came over TLS.", (f"probe_http_ssl{_OF}",), "short", (_BY,)),
        Panel(
            "Failed by the body",
            "1 where a regular expression for the body was not fulfilled.",
            (f"probe_failed_due_to_regex{_OF}",),
            "short",
            (_BY,),
        ),
        Panel(
            "Certificate",
            "How long the first certificate of the chain to end is valid.",
            (f"probe_ssl_earliest_cert_expiry{_OF} - time()",),
            "s",
            (_BY,),
            width=24,
        ),
    )
