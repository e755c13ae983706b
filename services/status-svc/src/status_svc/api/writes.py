"""What the API writes (docs/adr/0020)."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import attrs

from monitoring_core.result import one_line
from monitoring_core.targets import TargetRecord
from status_svc.api import statements
from status_svc.api.answers import etag
from status_svc.api.contents import (
    JSON,
    MERGE_PATCH,
    AcknowledgementContent,
    NoteContent,
    WindowContent,
    changed,
    fields_of,
    read,
    target_of,
)
from status_svc.api.parameters import Parameters, number
from status_svc.api.recorded import Recorder, Written, as_json
from status_svc.conditions import check_match
from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from monitoring_core.declared.carrying import Run
    from status_svc.ports import Writer

_ALERT_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


class Writes:
    """The endpoints that write."""

    def __init__(self, writer: Writer) -> None:
        self._recorder = Recorder(writer)

    async def add_target(self, request: Request) -> Response:
        """Add a target."""
        Parameters(request)
        record = target_of(await fields_of(request, JSON))

        def work(run: Run) -> Written:
            added = run(statements.ADD_TARGET, _values(record))
            if not added:
                known = run(statements.TARGET_OF_URL, {"url": record.url})
                raise ProblemError(409, f"url: belongs to target {known[0]['amc_id'] if known else '?'} already.")
            (target,) = run(statements.TARGET, {"target_id": added[0]["amc_id"]})
            return Written(201, f"/targets/{target['target_id']}", target, location=True)

        return await self._recorder.write(request, "addTarget", work, again=True)

    async def change_target(self, request: Request) -> Response:
        """Change a target: the fields that are named."""
        Parameters(request)
        target_id = number("target_id", request.path_params["target_id"])
        stated = _if_match(request)
        fields = await fields_of(request, MERGE_PATCH, JSON)

        def work(run: Run) -> Written:
            old = _locked(run, target_id)
            # A wrong content comes before a wrong precondition (RFC 9110, section 13.2.1).
            new = changed(old, fields)
            _check(run, target_id, stated)
            # As JSON: Python takes true for 1.
            if (values := _values(new)) != _values(old):
                run(statements.CHANGE_TARGET, values)
            (target,) = run(statements.TARGET, {"target_id": target_id})
            return Written(200, f"/targets/{target_id}", target)

        return await self._recorder.write(request, "changeTarget", work)

    async def delete_target(self, request: Request) -> Response:
        """Delete a target; its results stay."""
        Parameters(request)
        target_id = number("target_id", request.path_params["target_id"])
        stated = _if_match(request)

        def work(run: Run) -> Written:
            _locked(run, target_id)
            _check(run, target_id, stated)
            run(statements.DELETE_TARGET, {"target_id": target_id})
            return Written(204, f"/targets/{target_id}")

        return await self._recorder.write(request, "deleteTarget", work)

    async def add_window(self, request: Request) -> Response:
        """Add a maintenance window."""
        Parameters(request)
        content = read(WindowContent, await fields_of(request, JSON))
        window = content.window(dt.datetime.now(dt.UTC).replace(microsecond=0))
        values = attrs.asdict(window) | {"match": as_json(dict(window.match)), "note": _line(content.note)}

        def work(run: Run) -> Written:
            (added,) = run(statements.ADD_WINDOW, values)
            return Written(201, f"/maintenance/{added['window_id']}", added)

        return await self._recorder.write(request, "addWindow", work, again=True)

    async def end_window(self, request: Request) -> Response:
        """End a maintenance window now and for good."""
        Parameters(request)
        window_id = number("window_id", request.path_params["window_id"])

        def work(run: Run) -> Written:
            ended = run(statements.END_WINDOW, {"window_id": window_id})
            if not ended:
                raise ProblemError(404, f"There is no maintenance window {window_id}.")
            return Written(200, f"/maintenance/{window_id}", ended[0])

        return await self._recorder.write(request, "endWindow", work)

    async def acknowledge(self, request: Request) -> Response:
        """Note that somebody looks after an alert."""
        Parameters(request)
        alert_id = request.path_params["alert_id"]
        content = read(AcknowledgementContent, await fields_of(request, JSON))
        by = request.state.token.name

        def work(run: Run) -> Written:
            if not _ALERT_ID.fullmatch(alert_id) or not run(statements.ALERT_IS_KNOWN, {"alert_id": alert_id}):
                raise ProblemError(404, "There is no such alert.")
            values = {"alert_id": alert_id, "by": by, "note": _line(content.note)}
            (acknowledged,) = run(statements.ACKNOWLEDGE, values)
            return Written(200, f"/alerts/{alert_id}", acknowledged)

        return await self._recorder.write(request, "acknowledgeAlert", work)

    async def add_note(self, request: Request) -> Response:
        """Add a note to an incident."""
        Parameters(request)
        content = read(NoteContent, await fields_of(request, JSON))
        text = content.text.strip()
        if not text:
            raise ProblemError(422, "text: must say something.")

        def work(run: Run) -> Written:
            values = {"target_id": content.target_id, "began_at": content.began_at}
            found = run(statements.INCIDENT, values)
            if not found:
                which = "open incident" if content.began_at is None else "incident at that moment"
                raise ProblemError(409, f"There is no {which} of target {content.target_id}.")
            more = {"kind": content.kind, "text": text, "public": content.public}
            (added,) = run(statements.ADD_NOTE, values | found[0] | more)
            return Written(201, f"/notes/{added['note_id']}", added)

        return await self._recorder.write(request, "addNote", work, again=True)

    async def withdraw_note(self, request: Request) -> Response:
        """Withdraw a note: nothing shows it any more."""
        Parameters(request)
        note_id = number("note_id", request.path_params["note_id"])

        def work(run: Run) -> Written:
            if not run(statements.WITHDRAW_NOTE, {"note_id": note_id}):
                raise ProblemError(404, f"There is no note {note_id}.")
            return Written(204, f"/notes/{note_id}")

        return await self._recorder.write(request, "withdrawNote", work)


def _if_match(request: Request) -> str:
    """The tags of which one must be that of the target.

    Raises:
        ProblemError: there are none.
    """
    stated = request.headers.get("If-Match")
    if stated is None:
        raise ProblemError(428, "Send If-Match with the ETag of the target as you know it.")
    return stated


def _locked(run: Run, target_id: int) -> TargetRecord:
    """The target, which nobody else changes until the transaction ends.

    Raises:
        ProblemError: there is none.
    """
    rows = run(statements.LOCK_TARGET, {"target_id": target_id})
    if not rows:
        raise ProblemError(404, f"There is no target {target_id}.")
    return TargetRecord(**rows[0])


def _check(run: Run, target_id: int, stated: str) -> None:
    """Whether a target is still the one that is meant.

    Raises:
        ProblemError: it is not.
    """
    (shown,) = run(statements.TARGET, {"target_id": target_id})
    check_match(stated, etag(as_json(shown).encode()), f"Target {target_id} has changed since: read it again.")


def _values(record: TargetRecord) -> dict[str, object]:
    values = attrs.asdict(record, recurse=False)
    return {name: as_json(value) if isinstance(value, dict | list) else value for name, value in values.items()}


def _line(note: str | None) -> str | None:
    return note and one_line(note)
