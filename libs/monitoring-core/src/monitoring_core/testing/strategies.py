"""Hypothesis strategies for the values of the core."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from hypothesis import strategies as st

from monitoring_core.result import (
    MAX_ERROR_LENGTH,
    MAX_EXCERPT_LENGTH,
    MAX_LOCATION_LENGTH,
    MAX_NAME_LENGTH,
    MAX_URL_LENGTH,
    CheckResult,
    Reason,
    Status,
)
from monitoring_core.targets import METHODS, TargetRecord

_moments = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001
_seconds = st.none() | st.floats(0, 1e9)
_text = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(_text, max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_text, max_size=3), inner, max_size=3),
    max_leaves=5,
)


def _texts(max_size: int) -> st.SearchStrategy[str | None]:
    return st.none() | st.text(_text, max_size=max_size)


def _result(reason: Reason | None, **fields: Any) -> CheckResult:
    return CheckResult(status=reason.status if reason else Status.UP, reason=reason, **fields)


# Made once: making strategies takes longer than drawing from them.
_results = st.builds(
    _result,
    target_id=st.integers(1, 2**63 - 1),
    scheduled_at=_moments,
    location=st.text(_text, min_size=1, max_size=MAX_LOCATION_LENGTH),
    producer_id=st.integers(1, 2**31 - 1),
    reason=st.none() | st.sampled_from(Reason),
    http_status=st.none() | st.integers(100, 999),
    body_bytes=st.none() | st.integers(0, 2**31 - 1),
    regexp_matched=st.none() | st.booleans(),
    remote_address=_texts(64),
    error=_texts(MAX_ERROR_LENGTH),
    final_url=_texts(MAX_URL_LENGTH),
    certificate_subject=_texts(MAX_NAME_LENGTH),
    certificate_issuer=_texts(MAX_NAME_LENGTH),
    body_excerpt=_texts(MAX_EXCERPT_LENGTH),
    http_version=_texts(8),
    tls_version=_texts(8),
    tls_resumed=st.none() | st.booleans(),
    redirects=st.none() | st.integers(0, 100),
    addresses_tried=_texts(MAX_ERROR_LENGTH),
    chain_expires_at=st.none() | _moments,
    chain_expires_subject=_texts(MAX_NAME_LENGTH),
    started_at=st.none() | _moments,
    finished_at=st.none() | _moments,
    certificate_expires_at=st.none() | _moments,
    queue_delay_s=_seconds,
    dns_s=_seconds,
    connect_s=_seconds,
    tls_s=_seconds,
    first_byte_s=_seconds,
    transfer_s=_seconds,
    response_time_s=_seconds,
)


def results() -> st.SearchStrategy[CheckResult]:
    """Any result that the wire format can hold."""
    return _results


def records() -> st.SearchStrategy[TargetRecord]:
    """Any record that has no problems and fits a default interval of a minute."""
    host = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)
    header = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=10).map(lambda name: f"X-{name}")
    regexp = st.text("abc.*+ ", max_size=8).map(re.escape)
    return st.builds(
        TargetRecord,
        url=st.builds("{}://{}/{}".format, st.sampled_from(["http", "https"]), host, host),
        id=st.integers(1, 2**63 - 1),
        regexp=st.none() | regexp,
        active=st.booleans(),
        check_interval_s=st.none() | st.integers(60, 86_400),
        timeout_s=st.none() | st.floats(0.1, 30),
        method=st.none() | st.sampled_from(METHODS),
        expected_status=st.none() | st.sampled_from(["200", "200-299", "200-299,301,404"]),
        headers=st.none() | st.dictionaries(header, st.text("abc 123", max_size=10), max_size=3),
        follow_redirects=st.none() | st.booleans(),
        verify_tls=st.none() | st.booleans(),
        labels=st.none() | st.dictionaries(st.text(_text, max_size=5), st.text(_text, max_size=5), max_size=3),
        forbidden_regexp=st.none() | regexp,
        connect_to=st.none() | st.sampled_from(["origin.example.org", "192.0.2.7:8443", "[2001:db8::7]:443"]),
        address_family=st.none() | st.sampled_from(["ipv4", "ipv6"]),
        further_regexps=st.none() | st.lists(regexp, max_size=3),
        further_forbidden_regexps=st.none() | st.lists(regexp, max_size=3),
        degraded_above_s=st.none() | st.floats(0.01, 0.09),
        client_certificate=st.none() | st.sampled_from(["shop.pem", "a"]),
        secret_headers=st.none() | st.lists(header, max_size=3),
        expected_json=st.none() | st.dictionaries(st.sampled_from(["$.a", "$[*]", "$..b[?@.c==1]"]), _json, max_size=3),
        expected_headers=st.none() | st.dictionaries(header, regexp, max_size=3),
    ).filter(lambda record: record.method != "HEAD" or not record.expected_json)
