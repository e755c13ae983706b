"""Which documents a view has, and what is in each: the same for the service and for a copy in files."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import attrs

from status_svc.pages import calendars, feed, rendering

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitoring_core.config import StatusConfig
    from status_svc.pages.detail import Detail
    from status_svc.pages.model import Board, Component
    from status_svc.pages.rendering import View
    from status_svc.pages.searching import Search

HTML = "text/html; charset=utf-8"
SVG = "image/svg+xml"
_STATIC = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": SVG}
_OF_COMPONENT = re.compile(r"(components|badges)/([1-9][0-9]{0,18})\.(html|svg)")
# Numbers of targets are bigint.
_HIGHEST = 2**63 - 1
_PART = re.compile(r"index-([1-9][0-9]{0,4})\.html")


@attrs.frozen
class Document:
    """What is sent or written, and its media type."""

    content: bytes
    media_type: str


def base(settings: StatusConfig) -> str:
    """The URL of the folder that has the overview, with a slash at its end; empty when nobody has said."""
    return f"{settings.public_url.rstrip('/')}/" if settings.public_url else ""


def names(board: Board) -> Iterator[str]:
    """The documents that there are, by their way from the overview. What one links to is before it."""
    for one in board.components:
        yield f"components/{one.id}.html"
        yield f"badges/{one.id}.svg"
    yield from ("incidents.html", "maintenance.html", "feed.atom", "maintenance.ics")
    yield from (f"index-{part}.html" for part in range(2, rendering.parts(board) + 1))
    yield "index.html"


def number_of(name: str) -> int | None:
    """The number of the component that a document is about."""
    found = _OF_COMPONENT.fullmatch(name)
    if found is None or (found[1] == "components") != (found[3] == "html") or int(found[2]) > _HIGHEST:
        return None
    return int(found[2])


def component_of(name: str, board: Board) -> Component | None:
    """The component that a document is about."""
    number = number_of(name)
    return None if number is None else board.component(number)


def make(name: str, board: Board, view: View, base: str = "", detail: Detail | None = None) -> Document | None:
    """A document; None when there is none of this name.

    Args:
        base: the URL of the folder that has the overview, for links in the feed; it may be empty.
        detail: for the inner page of a component.
    """
    if one := component_of(name, board):
        if name.startswith("badges/"):
            return Document(rendering.badge(one).encode(), SVG)
        return Document(rendering.component(board, one, view, detail).encode(), HTML)
    if name == "feed.atom":
        return Document(feed.atom(board, view.title, base), "application/atom+xml; charset=utf-8")
    if name == "maintenance.ics":
        return Document(calendars.maintenance(board, view.title), "text/calendar; charset=utf-8")
    page = _page(name, board, view)
    return None if page is None else Document(page.encode(), HTML)


def _page(name: str, board: Board, view: View) -> str | None:
    if name in ("", "index.html"):
        return rendering.overview(board, view)
    if name == "incidents.html":
        return rendering.incidents(board, view)
    if name == "maintenance.html":
        return rendering.maintenance(board, view)
    found = _PART.fullmatch(name)
    if found and 2 <= int(found[1]) <= rendering.parts(board):
        return rendering.overview(board, view, int(found[1]))
    return None


def found(board: Board, view: View, search: Search, further: Sequence[Component] | None = None) -> Document:
    """What somebody looks for. Args: further: what is not on the board, as for rendering."""
    return Document(rendering.found(board, view, search, further).encode(), HTML)


@cache
def static() -> dict[str, Document]:
    """The style sheet, the script and the icon, by their names."""
    folder = rendering.HERE / "static"
    return {path.name: Document(path.read_bytes(), _STATIC[path.suffix[1:]]) for path in sorted(folder.iterdir())}
