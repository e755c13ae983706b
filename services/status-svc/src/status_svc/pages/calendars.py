"""Maintenance as a calendar (RFC 5545), for programs that show appointments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from icalendar import Calendar, Event, vText

from status_svc.pages.shown import MAX_NAME, text

if TYPE_CHECKING:
    from status_svc.pages.model import Board

_NAMES = 20


def maintenance(board: Board, title: str) -> bytes:
    """The calendar: an event for each time in which a window holds, thirty days back and ahead."""
    calendar = Calendar()
    calendar.add("prodid", "-//website-availability-monitor//status-svc//EN")
    calendar.add("version", "2.0")
    # What it does not know, the library takes for written out already.
    for name in ("name", "x-wr-calname"):
        calendar.add(name, vText(f"{text(title, MAX_NAME)}: maintenance"))
    for one in board.maintenance:
        names = ", ".join(text(name, MAX_NAME) for name in one.names[:_NAMES]) or "no component"
        if len(one.names) > _NAMES:
            names += f" and {len(one.names) - _NAMES} more"
        event = Event()
        event.add("uid", f"maintenance-{one.id}@website-availability-monitor")
        event.add("dtstamp", board.at)
        event.add("dtstart", one.begins_at)
        event.add("dtend", one.ends_at)
        event.add("summary", f"Maintenance: {names}")
        if one.note:
            event.add("description", text(one.note))
        calendar.add_component(event)
    return bytes(calendar.to_ical())
