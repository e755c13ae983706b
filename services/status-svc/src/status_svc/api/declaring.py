"""Planning and applying what is declared of targets (docs/adr/0024)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.responses import Response

from monitoring_core.declared.carrying import carry_out, compare, hold
from monitoring_core.declared.items import MAX_REPORTED
from monitoring_core.declared.ownership import OWNER_LABEL
from status_svc.api import statements
from status_svc.api.contents import JSON, body_of, check_media_type
from status_svc.api.declarations import MAX_BYTES, asked_for
from status_svc.api.parameters import Parameters
from status_svc.api.plans import refusal, shown, tag_of
from status_svc.api.recorded import Recorder, Written, as_json
from status_svc.conditions import check_match
from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from monitoring_core.declared.carrying import Compared, Run
    from status_svc.api.declarations import Asked
    from status_svc.ports import Writer

# Each may hold MAX_BYTES and what is made of them.
MOST_PRESENT = 8
CONTENT_S = 60
# As long as a statement may take.
TURN_S = 10
_COME_AGAIN = "Others plan or apply at this moment: come again."


class Declaring:
    """The endpoints that plan and apply, one request after another: other writes find a connection meanwhile."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._recorder = Recorder(writer)
        self._present = 0
        self._turn = asyncio.Lock()

    async def plan(self, request: Request) -> Response:
        """Tell what apply would change, and change nothing."""

        def work(run: Run) -> Response:
            run(statements.READ_ONLY, {})
            compared = compare(run, asked.declaration, asked.way)
            headers = {"Cache-Control": "no-store", "ETag": tag_of(compared)}
            return Response(as_json(shown(compared, asked)), headers=headers, media_type=JSON)

        async with self._asked(request) as asked:
            return await self._writer.write(f"token {request.state.token.name}", work)

    async def apply(self, request: Request) -> Response:
        """Make the targets of an owner as they are declared, all of them or none."""
        stated = request.headers.get("If-Match")

        def work(run: Run) -> Written:
            hold(run)
            compared = compare(run, asked.declaration, asked.way)
            _check(compared, asked)
            tag = tag_of(compared)
            if stated is not None:
                check_match(stated, tag, "The plan is another one now: plan again.")
            carry_out(run, compared.plan)
            subject = f"/targets?label={OWNER_LABEL}={asked.declaration.owner}"
            return Written(200, subject, shown(compared, asked), tag=tag)

        async with self._asked(request) as asked:
            return await self._recorder.write(request, "applyTargets", work)

    @contextlib.asynccontextmanager
    async def _asked(self, request: Request) -> AsyncIterator[Asked]:
        """What a request asks for, when it is its turn.

        Raises:
            ProblemError: there is something wrong with it, or too many wait already.
        """
        Parameters(request)
        check_media_type(request, JSON)
        if self._present >= MOST_PRESENT:
            raise ProblemError(503, _COME_AGAIN, {"Retry-After": "5"})
        self._present += 1
        try:
            async with _within(CONTENT_S, ProblemError(408, f"The content did not come within {CONTENT_S} seconds.")):
                content = await body_of(request, MAX_BYTES)
            async with _within(TURN_S, ProblemError(503, _COME_AGAIN, {"Retry-After": "5"})):
                await self._turn.acquire()
            try:
                # Not in a thread of the database: nothing is asked of it yet.
                yield await asyncio.to_thread(asked_for, content)
            finally:
                self._turn.release()
        finally:
            self._present -= 1


@contextlib.asynccontextmanager
async def _within(seconds: float, otherwise: ProblemError) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise otherwise from None


def _check(compared: Compared, asked: Asked) -> None:
    """Whether a plan may be carried out.

    Raises:
        ProblemError: it may not.
    """
    if why := refusal(compared, asked):
        told = [
            f"{conflict.declared.place}.url: {conflict}{'; adopt takes it over' if conflict.adoptable else ''}"
            for conflict in compared.plan.conflicts[:MAX_REPORTED]
        ]
        raise ProblemError(409, f"{why}: nothing was changed.", errors=told)
