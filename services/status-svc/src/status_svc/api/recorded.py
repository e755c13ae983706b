"""One write: in one transaction, in which it is also written down who did it, and once however often it comes."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import attrs
import msgspec
from starlette.responses import Response

from status_svc.api import statements
from status_svc.api.answers import etag
from status_svc.api.contents import JSON, body_of
from status_svc.ports import RefusedError
from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from monitoring_core.declared.carrying import Run
    from status_svc.ports import Writer

BEGIN = "/api/v1"
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_SAME_URL = "availability_monitor_config_amc_url_key"
_SAME_ID = "availability_monitor_config_pkey"


@attrs.frozen
class Written:
    """What there is to answer.

    Attributes:
        subject: what was written to, a path below that of the API.
        content: what it is now; None when it is gone.
        location: whether the answer says where it is, because it is new.
        tag: its ETag; None for that of the content.
    """

    status: int
    subject: str
    content: Any = None
    location: bool = False
    tag: str | None = None


class Recorder:
    """Writes, and keeps a record of it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def write(
        self, request: Request, operation: str, work: Callable[[Run], Written], *, again: bool = False
    ) -> Response:
        """Do it, and write down who did.

        Args:
            operation: its name in the description of the API.
            again: whether the same request may come again with its key (Idempotency-Key): then it gets the same answer.

        Raises:
            ProblemError: what was raised, or it conflicts with what there is.
            OutageError, RefusedError: as Writer.
        """
        token = request.state.token
        key = _key(request) if again else None
        asked = hashlib.sha256(f"{operation}\n".encode() + await body_of(request)).digest() if key else None

        def whole(run: Run) -> Response:
            known = {"token_id": token.id, "idempotency_key": key}
            if key:
                # One that is under way comes first.
                run(statements.HOLD_KEY, known)
            if key and (earlier := run(statements.EARLIER, known)):
                if earlier[0]["request"] != asked:
                    raise ProblemError(422, "Idempotency-Key: was used for another request.")
                return _answer(earlier[0]["status"], earlier[0]["answer"], earlier[0]["location"])
            written = work(run)
            answer = None if written.content is None else as_json(written.content).encode()
            location = BEGIN + written.subject if written.location else None
            values = known | {
                "token": token.name,
                "operation": operation,
                "subject": written.subject,
                "request": asked,
                "status": written.status,
                "location": location,
                "answer": answer if key else None,
            }
            run(statements.WRITTEN, values)
            return _answer(written.status, answer, location, written.tag)

        try:
            return await self._writer.write(f"token {token.name}", whole)
        except RefusedError as error:
            raise _refusal(error) from None


def _answer(status: int, body: bytes | None, location: str | None, tag: str | None = None) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"Location": location} if location else {})
    if body is None:
        return Response(status_code=status, headers=headers)
    return Response(body, status, headers | {"ETag": tag or etag(body)}, JSON)


def _refusal(error: RefusedError) -> Exception:
    if error.constraint == _SAME_URL:
        return ProblemError(409, "url: belongs to another target already.")
    if error.constraint == _SAME_ID:
        return ProblemError(409, "The next id is taken: dbadmin targets add, once, makes the next one free.")
    return error


def _key(request: Request) -> str | None:
    stated = request.headers.get("Idempotency-Key")
    if stated is not None and not _KEY.fullmatch(stated):
        raise ProblemError(400, "Idempotency-Key: must be 1 to 255 visible characters of ASCII.")
    return stated


def as_json(value: Any) -> str:
    """A value in the form in which answers have it."""
    return msgspec.json.encode(value).decode()
