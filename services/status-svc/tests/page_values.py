"""Values of pages for tests: one component with everything that a page can show."""

from __future__ import annotations

import datetime as dt
from typing import Any

from status_svc.pages.detail import Alert, Check, Detail, Hour
from status_svc.pages.model import Board, Component, Day, Incident, Maintenance, Seen, State, Update

AT = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def days(*last: tuple[int, int, int]) -> tuple[Day, ...]:
    """Ninety days: those that are given are the last ones, (up, down, unknown); nothing is known of the others."""
    counts = [(0, 0, 0)] * (90 - len(last)) + list(last)
    first = AT.date() - dt.timedelta(days=89)
    return tuple(Day(first + dt.timedelta(days=n), *count) for n, count in enumerate(counts))


def component(number: int = 1, **values: Any) -> Component:
    """A component that is up."""
    defaults: dict[str, Any] = {
        "id": number,
        "name": f"Shop {number}",
        "public_name": f"Shop {number}",
        "group": "Shops",
        "state": State.UP,
        "since": AT - 60 * MINUTE,
        "known": 2,
        "places": 2,
        "days": days(*[(1440, 0, 0)] * 89, (700, 20, 0)),
    }
    return Component(**defaults | values)


def everything(text: str, url: str) -> tuple[Board, Component, Detail]:
    """A board in which every text is `text` and every URL is `url`."""
    seen = Seen(
        location=text,
        status="down",
        reason=text,
        since=AT,
        last_check_at=AT,
        response_time_s=0.2,
        http_status=500,
        certificate_expires_at=AT + 60 * MINUTE,
        error=text,
        remote_address=text,
        certificate_subject=text,
        certificate_issuer=text,
    )
    one = component(
        name=text,
        public_name=text,
        group=text,
        url=url,
        labels={text: text, "status_page": "public"},
        state=State.DOWN,
        seen=(seen,),
    )
    board = Board(
        at=AT,
        components=(one,),
        incidents=(
            Incident(
                id="1-1",
                target_id=1,
                name=text,
                began_at=AT - MINUTE,
                ended_at=None,
                locations=(text,),
                reasons=(text,),
                updates=(Update(at=AT, kind=text, text=text),),
            ),
        ),
        maintenance=(
            Maintenance(
                id="1-1", begins_at=AT - MINUTE, ends_at=AT + MINUTE, names=(text,), targets=frozenset({1}), note=text
            ),
        ),
    )
    detail = Detail(
        hours=(Hour(hour=AT, dns_s=0.01, connect_s=0.02, tls_s=0.03, first_byte_s=0.04, p50_s=0.1, p95_s=0.2),),
        checks=(
            Check(
                scheduled_at=AT,
                location=text,
                status="down",
                reason=text,
                error=text,
                http_status=500,
                response_time_s=0.1,
                remote_address=text,
                addresses_tried=text,
                final_url=url,
                redirects=1,
                certificate_subject=text,
                certificate_issuer=text,
                http_version=text,
                tls_version=text,
            ),
        ),
        alerts=(Alert(since=AT, state=text, severity=text, policy=text, locations=(text,), note=text),),
    )
    return board, one, detail
