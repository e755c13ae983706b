"""The Atom feed of incidents (RFC 4287): an entry for every update."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from status_svc.pages.shown import MAX_NAME, iso, text

if TYPE_CHECKING:
    from status_svc.pages.model import Board

ATOM = "http://www.w3.org/2005/Atom"
_ENTRIES = 200
_LONGEST_UPDATE = 4_000
# The names of our entries are made from this one, so that an entry keeps its name.
_OURS = uuid.uuid5(uuid.NAMESPACE_URL, "website-availability-monitor/incidents")


def atom(board: Board, title: str, base: str = "") -> bytes:
    """The feed.

    Args:
        title: the name of the site.
        base: the URL of the folder that has the feed; without it, links are relative.
    """
    updates = [(one, update) for one in board.incidents for update in one.updates]
    updates.sort(key=lambda pair: (pair[1].at, pair[0].id), reverse=True)
    newest = updates[0][1].at if updates else board.at
    feed = ET.Element("feed", {"xmlns": ATOM})
    _add(feed, "id", f"urn:uuid:{uuid.uuid5(_OURS, base or text(title))}")
    _add(feed, "title", f"{text(title, MAX_NAME)}: incidents")
    _add(feed, "updated", iso(newest))
    ET.SubElement(feed, "link", {"rel": "self", "href": f"{base}feed.atom"})
    ET.SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": f"{base}incidents.html"})
    _add(ET.SubElement(feed, "author"), "name", text(title, MAX_NAME))
    for one, update in updates[:_ENTRIES]:
        entry = ET.SubElement(feed, "entry")
        known = f"{one.id}/{iso(update.at)}/{text(update.kind)}/{text(update.text, _LONGEST_UPDATE)}"
        _add(entry, "id", f"urn:uuid:{uuid.uuid5(_OURS, known)}")
        _add(entry, "title", f"{text(one.name, MAX_NAME)}: {text(update.kind, 40)}")
        _add(entry, "updated", iso(update.at))
        ET.SubElement(
            entry, "link", {"rel": "alternate", "type": "text/html", "href": f"{base}incidents.html#i{one.id}"}
        )
        since = (
            f"Since {iso(one.began_at)}." if one.ended_at is None else f"{iso(one.began_at)} to {iso(one.ended_at)}."
        )
        _add(entry, "content", f"{text(update.text, _LONGEST_UPDATE)} {since}".strip())
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True))


def _add(parent: ET.Element, name: str, content: str) -> None:
    ET.SubElement(parent, name).text = content
