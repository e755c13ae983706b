"""Text of websites and users is shown as text, wherever it stands, and no page links to what is not a website."""

from __future__ import annotations

from html.parser import HTMLParser

import attrs
import pytest
from hostile_texts import TEXTS, URLS
from page_values import everything

from status_svc.pages import model, rendering, shown
from status_svc.pages.searching import Search

PUBLIC = {"status_page": "public"}
GOOD_URL = "https://shop.example/"
VOID = {"meta", "link", "img", "input", "br", "path", "circle", "use", "rect", "polyline"}


class Structure(HTMLParser):
    """What a browser makes of a page: its elements with the names of their attributes, its links and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.values: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        values = dict(attrs)
        self.links += [value for name in ("href", "src") if (value := values.get(name))]
        self.values += [value or "" for name, value in attrs if name not in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def pages(text: str, url: str = GOOD_URL) -> dict[str, str]:
    """Every page, inner and public, with this text in every place."""
    board, one, detail = everything(text, url)
    view = rendering.View(title=text)
    public = model.public(board, PUBLIC)
    shown_publicly = public.components or board.components
    return {
        "overview": rendering.overview(board, view),
        "component": rendering.component(board, one, view, detail),
        "incidents": rendering.incidents(board, view),
        "maintenance": rendering.maintenance(board, view),
        "found": rendering.found(board, attrs.evolve(view, inner=True), Search("", "down"), (one,)),
        "public overview": rendering.overview(public, view),
        "public component": rendering.component(public, shown_publicly[0], view),
        "public incidents": rendering.incidents(public, view),
        "public maintenance": rendering.maintenance(public, view),
    }


HARMLESS = pages("harmless")


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_changes_no_element_and_no_attribute(name: str) -> None:
    """Every page has the elements that it has with a harmless text, the same links, and shows the text."""
    text = TEXTS[name]
    if not text.strip():
        pages(text)
        return
    for where, page in pages(text).items():
        structure, harmless = Structure(page), Structure(HARMLESS[where])
        assert structure.elements == harmless.elements, where
        assert structure.links == harmless.links, where
        assert structure.open == [], where
        assert " ".join(shown.text(text, 120).split()) in structure.text, where
        assert not set(page) & set("\x00\x01\x08\x1b\x7f\u202e\u2066\ud800"), where
        assert len(page) < 200_000, where
        page.encode()


@pytest.mark.parametrize("url", URLS, ids=lambda url: url[:40].encode("unicode_escape").decode())
def test_a_page_links_to_websites_alone(url: str) -> None:
    """http and https, with a host and without user and password; the website learns nothing of the page."""
    page = pages("harmless", url)["component"]
    outside = [link for link in Structure(page).links if link == url]
    assert outside == ([url] if URLS[url] else [])
    known = set(Structure(HARMLESS["component"]).links) - {GOOD_URL}
    assert set(Structure(page).links) - {url} == known
    assert page.count('rel="noreferrer noopener nofollow"') == len(outside)
    assert len(page) < 200_000


def test_a_public_page_has_nothing_internal() -> None:
    """No URL, address, error, location, reason, label or note; the public name alone."""
    board, *_ = everything("harmless", "https://internal.example/")
    marked = everything("secret-word", "https://internal.example/")[0]
    one = marked.components[0]
    public = model.public(
        model.Board(
            at=board.at,
            components=(
                model.Component(
                    id=1,
                    name="secret-word",
                    public_name="Shop",
                    group="Shops",
                    state=one.state,
                    since=one.since,
                    known=0,
                    places=1,
                    days=one.days,
                    url=one.url,
                    labels={"status_page": "public", "secret-word": "secret-word"},
                    seen=one.seen,
                ),
            ),
            incidents=tuple(
                model.Incident(
                    id=i.id,
                    target_id=1,
                    name=i.name,
                    began_at=i.began_at,
                    ended_at=None,
                    locations=i.locations,
                    reasons=i.reasons,
                    updates=(model.Update(at=i.began_at, kind="down"),),
                )
                for i in marked.incidents
            ),
            maintenance=marked.maintenance,
        ),
        PUBLIC,
    )
    assert "secret-word" not in repr(public)
    assert "internal.example" not in repr(public)
    assert [one.name for one in public.components] == ["Shop"]
    assert public.incidents[0].name == "Shop"
    assert public.maintenance[0].names == ("Shop",)


def test_a_component_without_a_public_name_is_not_public() -> None:
    """Nor are its incidents and its maintenance."""
    board, *_ = everything("x", GOOD_URL)
    public = model.public(board, {"status_page": "other"})
    assert (public.components, public.incidents, public.maintenance) == ((), (), ())


def test_at_least_forty_texts() -> None:
    """The table is not emptied by mistake."""
    assert len(TEXTS) >= 40
    assert len(URLS) >= 25
