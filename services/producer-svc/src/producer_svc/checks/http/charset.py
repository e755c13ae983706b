"""Text of any encoding as UTF-8, in which regular expressions are searched; encodings are found as browsers find them.

Only the labels of the WHATWG Encoding standard count. A website must not choose among Python's codecs: some take
minutes for a page.
"""

from __future__ import annotations

import re
from functools import lru_cache

import webencodings

# Byte order marks, and the encodings that they tell (Encoding standard, BOM sniff).
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be"))
# Begins another set of characters in ISO-2022-JP, whose bytes are all ASCII's.
_ESCAPE = b"\x1b"
# How much of a page is searched for a declaration (HTML standard, 13.2.3.2).
_PRESCAN = 1024
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(rb"<meta[\s/]((?:\"[^\"]*\"|'[^']*'|[^\"'>])*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"([^\s\"'=/>]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]*))")
_OF_CONTENT = re.compile(rb"charset\s*=\s*[\"']?\s*([^\s\"';]+)", re.IGNORECASE)
_XML = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"']+)")
# A byte that is none of GB18030's, as `surrogateescape` leaves it; in GBK, the first of them is the euro sign.
_NO_CHARACTER = re.compile("[\udc80-\udcff]")
_GBK_EURO = "\udc80"
# Where the standard's table of JIS X 0208, which Microsoft's is, differs from Python's; Shift_JIS has the former.
_AS_MICROSOFT = str.maketrans("\u301c\u2212\u2016\xa2\xa3\xac", "\uff5e\uff0d\u2225\uffe0\uffe1\uffe2")
_JAPANESE = ("euc-jp", "iso-2022-jp")
# A quoted string, or what holds neither quotes nor commas: parts of a list of values.
_VALUE = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_TYPE = re.compile(r"\s*([!#$%&'*+.^_`|~\w-]+/[!#$%&'*+.^_`|~\w-]+)\s*(;.*)?", re.DOTALL | re.ASCII)
_PARAMETER = re.compile(r';\s*([^\s=;"]+)=(?:"((?:[^"\\]|\\.)*)"?|([^;\s]*))')


def to_utf8(body: bytes, content_type: str | None) -> bytes:
    """A body in UTF-8 and without a byte order mark; unchanged when nothing says that it is in another encoding.

    Args:
        content_type: the values of the field Content-Type, joined with commas.
    """
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            content = body[len(mark) :]
            return content if encoding == "utf-8" else content.decode(encoding, "replace").encode()
    essence, label = media_type(content_type or "")
    found = webencodings.lookup(label or "")
    if found is None and body.isascii() and _ESCAPE not in body:
        return body  # the same in every encoding that a page can declare
    # A label that nobody knows says nothing, either.
    if found is None and (essence == "" or "html" in essence or "xml" in essence):
        found = webencodings.lookup(_declared(body[:_PRESCAN]) or "")
    if found is None or found.name == "utf-8":
        return body
    return _decoded(body, found).encode("utf-8", "replace")


def _decoded(body: bytes, encoding: webencodings.Encoding) -> str:
    if encoding.name == "gbk":
        text = body.decode("gb18030", "surrogateescape").replace(_GBK_EURO, "€")
        return _NO_CHARACTER.sub("\ufffd", text)
    if encoding.name == "euc-jp":  # with row 13 of JIS X 0208, which Python's codec of this name lacks
        text = body.decode("euc_jis_2004", "replace")
    else:
        text, _ = encoding.codec_info.decode(body, "replace")
    return text.translate(_AS_MICROSOFT) if encoding.name in _JAPANESE else text


@lru_cache(maxsize=1_000)
def media_type(content_type: str) -> tuple[str, str | None]:
    """Type and charset that a website means, in lower case, as the Fetch standard extracts them from several values.

    The last valid value counts; a charset holds on while the type stays the same. An empty type is none.
    """
    essence, charset = "", None
    for value in _VALUE.findall(content_type):
        found = _TYPE.fullmatch(value)
        if found is None or found[1] == "*/*":
            continue
        if found[1].lower() != essence:
            essence, charset = found[1].lower(), None
        parameters = _PARAMETER.findall((found[2] or "").lower())
        charset = next((quoted or bare for name, quoted, bare in parameters if name == "charset"), charset)
    return essence, charset


def _declared(begin: bytes) -> str | None:
    """The encoding that the beginning of a page declares."""
    if xml := _XML.match(begin):
        declared = [xml[1]]
    else:
        declared = [said for tag in _META.findall(_COMMENT.sub(b"", begin)) if (said := _said_in_meta(tag))]
    for label in (said.decode("latin-1").strip().lower() for said in declared):
        if webencodings.lookup(label):
            # What can be read byte by byte is not in UTF-16 (HTML standard, 13.2.3.2).
            return "utf-8" if label.startswith("utf-16") else label
    return None


def _said_in_meta(tag: bytes) -> bytes:
    """What the attributes of a <meta> say of the encoding, or nothing."""
    found = _ATTRIBUTE.findall(tag)
    attributes: dict[bytes, bytes] = {
        name.lower(): double or single or bare for name, double, single, bare in reversed(found)
    }
    if b"charset" in attributes:
        return attributes[b"charset"]
    if attributes.get(b"http-equiv", b"").strip().lower() != b"content-type":
        return b""
    content = _OF_CONTENT.search(attributes.get(b"content", b""))
    return content[1] if content else b""
