"""The parameters of a request, read strictly."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import zlib
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request

PAGE = ("limit", "cursor")
MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100
MAX_ID = 2**63 - 1
Id = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


class Parameters:
    """The query of a request: each parameter once, and none that is not known."""

    def __init__(self, request: Request, *known: str) -> None:
        """Args: known: the parameters that there are.

        Raises:
            ProblemError: there is another one, or one comes twice.
        """
        self._values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in known:
                there = f"there are {', '.join(known)}" if known else "there are none"
                raise ProblemError(400, f"There is no parameter {name[:40]!r}; {there}.")
            if name in self._values:
                raise ProblemError(400, f"{name}: comes twice.")
            if "\0" in value:
                raise ProblemError(400, f"{name}: has a NUL character.")
            self._values[name] = value
        chosen = sorted(item for item in self._values.items() if item[0] not in PAGE)
        self._query = zlib.crc32(msgspec.json.encode([request.url.path, chosen]))

    def text(self, name: str) -> str | None:
        """A text; None when it is missing."""
        return self._values.get(name)

    def number(self, name: str, most: int = MAX_ID) -> int | None:
        """A whole number from 1; None when it is missing."""
        value = self._values.get(name)
        return None if value is None else number(name, value, most)

    def limit(self) -> int:
        """How many rows a page has."""
        return self.number("limit", MAX_LIMIT) or DEFAULT_LIMIT

    def truth(self, name: str) -> bool | None:
        """`true` or `false`; None when it is missing."""
        value = self._values.get(name)
        if value not in (None, "true", "false"):
            raise ProblemError(400, f"{name}: must be true or false.")
        return None if value is None else value == "true"

    def moment(self, name: str) -> dt.datetime | None:
        """A moment with its zone (RFC 3339); None when it is missing."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            moment = msgspec.convert(value, dt.datetime)
            if moment.tzinfo is not None:
                return moment.astimezone(dt.UTC)
        except (msgspec.ValidationError, OverflowError, ValueError):
            pass
        raise ProblemError(400, f"{name}: must be a moment like 2026-11-26T17:00:00Z.")

    def day(self, name: str) -> dt.date | None:
        """A day; None when it is missing."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return msgspec.convert(value, dt.date)
        except (msgspec.ValidationError, ValueError):
            raise ProblemError(400, f"{name}: must be a day like 2026-11-26.") from None

    def label(self) -> dict[str, str]:
        """The label that targets must have, `name=value`; empty when it is missing."""
        value = self._values.get("label")
        if value is None:
            return {}
        name, equals, text = value.partition("=")
        if not name or not equals:
            raise ProblemError(400, "label: must be like team=shop.")
        return {name: text}

    def cursor(self, kind: Any) -> Any:
        """Where the page before ended, of this kind; None for the first page."""
        value = self._values.get("cursor")
        if value is None:
            return None
        try:
            padded = value + "=" * (-len(value) % 4)
            place = base64.b64decode(padded, altchars=b"-_", validate=True)
            if b"\\u0000" in place:
                raise ValueError
            query, found = msgspec.json.decode(place, type=tuple[int, kind])
        except (binascii.Error, ValueError, msgspec.MsgspecError, UnicodeError):
            raise ProblemError(400, "cursor: take it as `next` of the page before gives it.") from None
        if query != self._query:
            raise ProblemError(400, "cursor: is of another query; only `limit` may change from page to page.")
        return found

    def cursor_after(self, place: Any) -> str:
        """A cursor: where a page of this query ends, in a form that is nobody's business."""
        return base64.urlsafe_b64encode(msgspec.json.encode([self._query, place])).decode().rstrip("=")


def number(name: str, value: str, most: int = MAX_ID) -> int:
    """A whole number from 1.

    Raises:
        ProblemError: it is none.
    """
    if not _NUMBER.fullmatch(value) or not 1 <= int(value) <= most:
        raise ProblemError(400, f"{name}: must be a whole number from 1 to {most}.")
    return int(value)
