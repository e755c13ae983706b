"""Charts as SVG inside a page: the strip of 90 days, and response time by phase. Made of numbers alone."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from markupsafe import Markup

from status_svc.pages.model import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from status_svc.pages.detail import Hour
    from status_svc.pages.model import Component, Day

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 800, 220, 50, 20
PHASES = (
    ("dns", "dns_s", "Name look-up"),
    ("connect", "connect_s", "Connect"),
    ("tls", "tls_s", "TLS"),
    ("first", "first_byte_s", "First byte"),
)
# Where a bar of each level stands, so that all of them stand on one line: half of its height above the ground.
_MIDDLE = {Level.GOOD: "10", Level.FAIR: "12.5", Level.BAD: "15", Level.UNKNOWN: "18.5"}


def strip(component: Component) -> Markup:
    """The days of a component, a bar each. Days of one level are one path, so that a thousand strips stay small."""
    runs: dict[Level, str] = {}
    at = 0
    for level, days in groupby(component.days, key=lambda day: day.level):
        length = len(list(days))
        runs[level] = runs.get(level, "") + f"M{at} {_MIDDLE[level]}h{length}"
        at += length
    paths = "".join(f'<path class="{level}" d="{path}"/>' for level, path in runs.items())
    # The dashes begin anew with each part of a path.
    return Markup(  # noqa: S704 (numbers alone)
        f'<svg class="strip" viewBox="0 0 {at} 20" preserveAspectRatio="none" stroke-dasharray=".8 .2" role="img" '
        f'aria-label="{_in_words(component.days)}">{paths}</svg>'
    )


def _in_words(days: Sequence[Day]) -> str:
    failing = sum(day.level in (Level.FAIR, Level.BAD) for day in days)
    unknown = sum(day.level is Level.UNKNOWN for day in days)
    return f"{len(days)} days: {failing} with failures, {unknown} not known"


def phases(hours: Sequence[Hour]) -> Markup:
    """Response time by phase, hour by hour: means one upon the other, and the 95th percentile as a line."""
    top = max([_total(hour) for hour in hours] + [hour.p95_s or 0 for hour in hours]) or 1
    width = (_WIDTH - _LEFT) / len(hours)
    ground = _HEIGHT - _BOTTOM
    scale = (ground - 10) / top
    parts = []
    for number, hour in enumerate(hours):
        x, y = _LEFT + number * width, float(ground)
        for name, field, _ in PHASES:
            height = (getattr(hour, field) or 0) * scale
            if height:
                y -= height
                parts.append(
                    f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width * 0.85:.1f}" height="{height:.1f}"/>'
                )
    known = [(number, hour.p95_s) for number, hour in enumerate(hours) if hour.p95_s is not None]
    line = " ".join(f"{_LEFT + (number + 0.42) * width:.1f},{ground - p95 * scale:.1f}" for number, p95 in known)
    parts.append(f'<polyline class="tail" points="{line}"/>')
    for share in (0.0, 0.5, 1.0):
        y = ground - share * top * scale
        parts.append(f'<path class="axis" d="M{_LEFT} {y:.1f}H{_WIDTH}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_label(share * top, top)}</text>')
    for number, x in ((0, _LEFT), (len(hours) // 2, _LEFT + len(hours) // 2 * width)):
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 4}">{hours[number].hour:%d %b %H:%M}</text>')
    key = "".join(
        f'<rect class="{name}" x="{_LEFT + 110 * number}" y="0" width="10" height="10"/>'
        f'<text x="{_LEFT + 14 + 110 * number}" y="9">{words}</text>'
        for number, (name, _, words) in enumerate(PHASES)
    )
    return Markup(  # noqa: S704 (numbers alone)
        f'<svg class="chart" viewBox="0 -20 {_WIDTH} {_HEIGHT + 20}" role="img" '
        f'aria-label="Response time by phase, hour by hour; the figures are in the table below">'
        f'<g transform="translate(0 -18)">{key}'
        f'<text x="{_LEFT + 454}" y="9">Line: 95th percentile of all</text></g>{"".join(parts)}</svg>'
    )


def _label(value_s: float, top_s: float) -> str:
    """So exact that half of the top is not the same as the top, or another number."""
    return f"{value_s * 1_000:.0f} ms" if top_s >= 0.1 else f"{value_s * 1_000:.1f} ms"


def _total(hour: Hour) -> float:
    return float(sum(getattr(hour, field) or 0 for _, field, _ in PHASES))
