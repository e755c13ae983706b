"""The pages for people: public and inner ones, and what is made of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from monitoring_core.tokens import Scope
from status_svc.access import address_of
from status_svc.pages.queries import Queries
from status_svc.pages.web import Pages
from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from status_svc.context import Context


def routes(context: Context) -> list[BaseRoute]:
    """The routes of the pages; the last of them takes every way that no other has."""

    login = context.login

    async def permits(request: Request) -> bool:
        if login and (who := await login.who(request)):
            context.access.count(request, ("login", who))
            return True
        try:
            await context.access.admit(request, Scope.READ, browser=True)
        except ProblemError as problem:
            if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
                raise
            return False
        return True

    def counts(request: Request) -> None:
        # Apart from all else that comes from there, such as logins.
        context.access.count(request, ("search", address_of(request)))

    pages = Pages(Queries(context.database), context.clock, context.settings, permits, counts, login)
    return [*(login.routes(context.access) if login else ()), *pages.routes()]
