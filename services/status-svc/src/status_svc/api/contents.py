"""The contents of requests, read strictly: JSON of a bounded size, each value checked before anything is done."""

from __future__ import annotations

import codecs
import datetime as dt
import json
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import attrs
import msgspec
from msgspec import Meta, Struct

from monitoring_alerting.windows import Window
from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import TargetRecord
from monitoring_core.targets.expectations import MAX_LEVELS, is_nested_deeply
from status_svc.api.parameters import MAX_ID
from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request

T = TypeVar("T")
# A target with all the headers that it may have is smaller.
MAX_BYTES = 262_144
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
MAX_TEXT = 4_000
MAX_LABELS = 20
NOTE_KINDS = ("investigating", "identified", "monitoring", "resolved")
# What is certain to recur, so that nobody looks for its next time in vain for long.
RECURRENCE = (
    r"^FREQ=(DAILY|WEEKLY|MONTHLY)(;COUNT=[1-9][0-9]{0,3})?(;INTERVAL=[1-9][0-9]?)?"
    r"(;BYDAY=(MO|TU|WE|TH|FR|SA|SU)(,(MO|TU|WE|TH|FR|SA|SU)){0,6})?$"
)
# In a declaration: what an answer should hold is four levels deep, and is judged with its target.
_LEVELS_ABOVE = 4
_YEARS = dt.timedelta(days=3_660)
_LONGEST_DETAIL = 500

_Label = Annotated[str, Meta(max_length=1_000)]
_Moment = Annotated[dt.datetime, Meta(tz=True)]


class WindowContent(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A maintenance window as it is asked for; it begins now, unless it says when."""

    match: Annotated[dict[_Label, _Label], Meta(max_length=MAX_LABELS)]
    ends_at: _Moment
    begins_at: _Moment | None = None
    zone: Annotated[str, Meta(max_length=100)] = "UTC"
    recurrence: Annotated[str, Meta(pattern=RECURRENCE)] | None = None
    note: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None

    def window(self, now: dt.datetime) -> Window:
        """The window.

        Raises:
            ProblemError: it has a problem.
        """
        begins_at = self.begins_at or now
        for name, moment in (("begins_at", begins_at), ("ends_at", self.ends_at)):
            if abs(moment - now) > _YEARS:
                raise ProblemError(422, f"{name}: must be within ten years from now.")
        window = Window(
            id=0,
            match=self.match,
            begins_at=begins_at.astimezone(dt.UTC),
            ends_at=self.ends_at.astimezone(dt.UTC),
            zone=self.zone,
            recurrence=self.recurrence,
        )
        if problem := window.problem():
            raise ProblemError(422, f"The window cannot be used: {problem}.")
        return window


class AcknowledgementContent(Struct, forbid_unknown_fields=True, frozen=True):
    """That somebody looks after an alert."""

    note: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None


class NoteContent(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A note on an incident: the open one of the target, unless it says when the incident was."""

    target_id: Annotated[int, Meta(ge=1, le=MAX_ID)]
    kind: Annotated[str, Meta(pattern=f"^({'|'.join(NOTE_KINDS)})$")]
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    public: bool = False
    began_at: _Moment | None = None


async def fields_of(request: Request, *media_types: str) -> dict[str, Any]:
    """The object that a request brings.

    Args:
        media_types: those that are taken.

    Raises:
        ProblemError: it brings something else, or too much.
    """
    check_media_type(request, *media_types)
    return object_of(await body_of(request))


def check_media_type(request: Request, *media_types: str) -> None:
    """Args: media_types: those that are taken.

    Raises:
        ProblemError: a request says that it brings something else.
    """
    stated = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if stated not in media_types:
        raise ProblemError(415, f"The content must be {' or '.join(media_types)}.")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        # RFC 9110, section 15.5.16.
        raise ProblemError(415, "The content must not be compressed.", {"Accept-Encoding": "identity"})


def object_of(content: bytes) -> dict[str, Any]:
    """The object that a content is.

    Raises:
        ProblemError: it is something else.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        # It says where, and repeats nothing.
        raise ProblemError(400, f"The content is not JSON: {str(error).removeprefix('JSON is malformed: ')}.") from None
    if not isinstance(value, dict):
        raise ProblemError(422, "The content must be an object.")
    if is_nested_deeply(value, MAX_LEVELS + _LEVELS_ABOVE):
        raise ProblemError(422, "The content has lists and objects too deep in each other.")
    # Of a name that is given twice, msgspec takes the last and says nothing.
    json.loads(content, object_pairs_hook=_each_once, parse_int=len, parse_float=len)
    if any(_unfit(text) for text in _texts(value)):
        raise ProblemError(422, "The content has a character that cannot be stored, such as NUL.")
    return value


async def body_of(request: Request, most: int = MAX_BYTES) -> bytes:
    """The content of a request, which is kept for whoever asks again.

    Args:
        most: how many bytes it may have.

    Raises:
        ProblemError: it is too large.
    """
    if (kept := getattr(request.state, "content", None)) is None:
        parts, size = [], 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > most:
                raise ProblemError(413, f"The content may have {most} bytes.")
        kept = request.state.content = b"".join(parts)
    assert isinstance(kept, bytes)
    return kept


def read(kind: type[T], fields: dict[str, Any]) -> T:
    """The fields as a value of this kind.

    Raises:
        ProblemError: they are none.
    """
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise invalid([str(error)]) from None


def target_of(fields: dict[str, Any]) -> TargetRecord:
    """A target of these fields, judged like one of `dbadmin targets add`.

    Raises:
        ProblemError: there is something wrong with it.
    """
    if "id" in fields:
        raise ProblemError(422, "id: is given by the database.")
    try:
        return TargetRecord.parse(fields)
    except InvalidTargetError as error:
        raise invalid(error.problems) from None


def changed(record: TargetRecord, fields: dict[str, Any]) -> TargetRecord:
    """A target after these fields were merged into it (RFC 7396).

    Raises:
        ProblemError: there is something wrong with it then.
    """
    if fields == {"active": False}:
        # Whatever else is wrong with it, it can be switched off.
        return attrs.evolve(record, active=False)
    known = attrs.asdict(record, recurse=False)
    del known["id"]
    return attrs.evolve(target_of(_merged(known, fields)), id=record.id)


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7396, section 2; a field of a target that is taken away is null."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


def invalid(problems: Sequence[str], most: int = 20) -> ProblemError:
    """The error that tells what is wrong with a content. Args: most: so many things are told."""
    shown = [problem[:_LONGEST_DETAIL] for problem in problems[:most]]
    return ProblemError(422, f"{'; '.join(shown)}."[:_LONGEST_DETAIL], errors=shown)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ProblemError(422, f"{name[:40]!r} is given twice in one object.")
    return found


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, names of fields included."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            yield one


def _unfit(text: str) -> bool:
    """Whether PostgreSQL cannot keep a text, or nobody can send it on."""
    return "\0" in text or (not text.isascii() and any(unicodedata.category(one) == "Cs" for one in text))
