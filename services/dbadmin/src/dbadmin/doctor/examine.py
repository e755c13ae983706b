"""All examinations at once, in bounded time: a server that does not answer delays no other examination."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dbadmin.doctor import certificates, gaps, kafka, postgres, targets
from dbadmin.doctor.findings import Finding, failed
from monitoring_core.clock import from_ms
from monitoring_core.config import ConfigError, Role
from monitoring_runtime.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitoring_core.clock import Clock
    from monitoring_core.config import Config

DEADLINE_S = 60.0


def examine(config: Config, clock: Clock, deadline_s: float = DEADLINE_S) -> Iterator[Finding]:
    """All findings, in the order in which a person reads them.

    Args:
        config: its `database` must hold the account of that section itself, not of a role.
        deadline_s: how long all examinations together may take.
    """
    end_s = clock.monotonic() + deadline_s
    running = [
        (name, in_background(name, partial(_listed, examination))) for name, examination in _examinations(config, clock)
    ]
    for name, future in running:
        try:
            yield from future.result(max(0.0, end_s - clock.monotonic()))
        except TimeoutError:
            yield failed(name, f"no answer within {deadline_s:g} s", "see whether it hangs")
        except Exception as error:  # a fault of dbadmin must not hide the other findings
            yield failed(name, f"could not be looked at: {type(error).__name__}: {str(error)[:200]}", "tell us of it")


def _examinations(config: Config, clock: Clock) -> Iterator[tuple[str, Callable[[], Iterator[Finding]]]]:
    now = from_ms(clock.now_ms())
    yield "certificates", lambda: certificates.check_own(config, now)
    yield "PostgreSQL as database.user", lambda: postgres.check_login("database.user", config.database)
    for role in Role:
        if config.roles.user(role):
            yield f"PostgreSQL as {role}", partial(_as_role, config, role)
    yield "certificate of PostgreSQL", lambda: certificates.check_postgresql(config.database, now)
    yield "PostgreSQL", lambda: postgres.check_server(config, config.database, clock)
    yield "messages that were not stored", lambda: gaps.check_gaps(config.database)
    yield "targets", lambda: targets.check_targets(config)
    yield "certificate of Kafka", lambda: certificates.check_kafka(config.kafka, now)
    yield "Kafka", lambda: kafka.check_kafka(config, clock)


def _listed(examination: Callable[[], Iterator[Finding]]) -> list[Finding]:
    return list(examination())


def _as_role(config: Config, role: Role) -> Iterator[Finding]:
    try:
        database = config.database_as(role)
    except ConfigError as error:
        yield failed(f"PostgreSQL as {role}", error.faults[0].message, f"correct roles.{role}_password")
        return
    if database:
        yield from postgres.check_login(role, database)
