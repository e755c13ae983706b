"""All examinations at once, in bounded time: a server that does not answer delays no other examination."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dbadmin.doctor import certificates, gaps, kafka, positions, postgres, targets
from dbadmin.doctor.findings import Finding, Level, failed
from monitoring_core.clock import from_ms
from monitoring_core.config import ConfigError, Role
from monitoring_runtime.background import in_background

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from monitoring_core.clock import Clock
    from monitoring_core.config import Config

    Look = Callable[[], Iterator[Finding]]

DEADLINE_S = 60.0
_LOGIN = "PostgreSQL as database.user"


def examine(config: Config, clock: Clock, deadline_s: float = DEADLINE_S) -> Iterator[Finding]:
    """All findings, in the order in which a person reads them.

    A server that is away is told once, by the first examination that needs it.

    Args:
        config: its `database` must hold the account of that section itself, not of a role.
        deadline_s: how long all examinations together may take.
    """
    end_s, now = clock.monotonic() + deadline_s, from_ms(clock.now_ms())
    login = _begin(_LOGIN, partial(_as_owner, config))
    after = {
        name: in_background(name, partial(_listed_if, login, fit, look))
        for name, fit, look in _after_login(config, clock, now)
    }
    running = {
        "certificates": _begin("certificates", lambda: certificates.check_own(config, now)),
        _LOGIN: login,
        **after,
        "certificate of Kafka": _begin("certificate of Kafka", lambda: certificates.check_kafka(config.kafka, now)),
        "Kafka": _begin("Kafka", lambda: kafka.check_kafka(config, clock)),
    }
    for name, future in running.items():
        try:
            yield from future.result(max(0.0, end_s - clock.monotonic()))
        except TimeoutError:
            if name not in after or login.done():
                yield failed(name, f"no answer within {deadline_s:g} s", "see whether it hangs")
        except Exception as error:  # a fault of dbadmin must not hide the other findings
            yield failed(name, f"could not be looked at: {type(error).__name__}: {str(error)[:200]}", "tell us of it")


def _after_login(
    config: Config, clock: Clock, now: dt.datetime
) -> Iterator[tuple[str, Callable[[list[Finding]], bool], Look]]:
    """The examinations of PostgreSQL after the login of database.user: each with what must have come of that login."""
    for role in Role:
        if config.roles.user(role):
            yield f"PostgreSQL as {role}", _is_there, partial(_as_role, config, role)
    yield "certificate of PostgreSQL", _always, lambda: certificates.check_postgresql(config.database, now)
    yield "PostgreSQL", _let_in, lambda: postgres.check_server(config, config.database, clock)
    yield "messages that were not stored", _let_in, lambda: gaps.check_gaps(config.database)
    yield "stored positions", _let_in, lambda: positions.check_positions(config)
    yield "targets", _let_in, lambda: targets.check_targets(config)


def _always(_: list[Finding]) -> bool:
    return True


def _is_there(login: list[Finding]) -> bool:
    return all(finding.mend != postgres.AWAY for finding in login)


def _let_in(login: list[Finding]) -> bool:
    return login[0].level is Level.PASS


def _begin(name: str, look: Look) -> Future[list[Finding]]:
    return in_background(name, lambda: list(look()))


def _listed_if(login: Future[list[Finding]], fit: Callable[[list[Finding]], bool], look: Look) -> list[Finding]:
    return list(look()) if fit(login.result()) else []


def _as_owner(config: Config) -> Iterator[Finding]:
    """The account of the section `database`, which is also that of each part without an account of its own."""
    parts = [role for role in Role if not config.roles.user(role)]
    return postgres.check_login("database.user", config.database, parts)


def _as_role(config: Config, role: Role) -> Iterator[Finding]:
    try:
        database = config.database_as(role)
    except ConfigError as error:
        yield failed(f"PostgreSQL as {role}", error.faults[0].message, f"correct roles.{role}_password")
        return
    if database:
        yield from postgres.check_login(role, database, [role])
