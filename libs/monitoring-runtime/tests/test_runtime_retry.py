"""How long to wait before the next try, and when a command gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitoring_core.errors import OutageError, StopError
from monitoring_runtime import retry
from monitoring_runtime.retry import RetryPolicy, attempts

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICIES = {name: policy for name, policy in vars(retry).items() if isinstance(policy, RetryPolicy)}
SOON = RetryPolicy(0.001, 0.002)


def test_every_policy_is_looked_at_below() -> None:
    """A new policy is tested below without a change here; a policy that is removed is noticed."""
    assert set(POLICIES) == {"OUTAGE", "LOCKED", "RETURNED_BY_KAFKA", "DISK"}


@pytest.mark.parametrize("name", POLICIES)
def test_the_delays_of_a_policy_stay_within_its_bounds(name: str) -> None:
    """From half of the initial delay on, doubling, and never longer than the maximum."""
    policy = POLICIES[name]
    backoff = policy.backoff()
    ceiling_s = policy.initial_s
    for _ in range(12):
        assert ceiling_s / 2 <= backoff.next() <= ceiling_s
        ceiling_s = min(2 * ceiling_s, policy.maximum_s)
    assert ceiling_s == policy.maximum_s


@pytest.mark.parametrize(("name", "soonest_s", "latest_s"), [("OUTAGE", 0.1, 10.0), ("LOCKED", 0.25, 2.0)])
def test_how_soon_and_how_late_a_server_is_tried_again(name: str, soonest_s: float, latest_s: float) -> None:
    """A short outage costs a moment; the end of a long one is noticed within seconds."""
    policy = POLICIES[name]
    assert (policy.initial_s / 2, policy.maximum_s) == (soonest_s, latest_s)


def test_each_series_of_tries_begins_with_the_shortest_delay() -> None:
    """However far another series of the same policy has come."""
    far = retry.OUTAGE.backoff()
    for _ in range(10):
        far.next()
    assert retry.OUTAGE.backoff().next() <= retry.OUTAGE.initial_s < far.next()


def failing(error: type[Exception], timeout_s: float) -> Iterator[str]:
    """The tries of work that always fails, each with the text of the error that it then raises."""
    for number, attempt in enumerate(attempts(OutageError, timeout_s, SOON), 1):
        with attempt:
            yield f"try {number}"
            raise error(f"try {number}")


def test_attempts_go_on_until_one_succeeds() -> None:
    """Only the errors that are named are tried again."""
    tries = 0
    for attempt in attempts(OutageError, 30, SOON):
        with attempt:
            tries += 1
            if tries < 3:
                raise OutageError("not yet")
    assert tries == 3


def test_attempts_end_with_the_last_error_when_the_time_is_over() -> None:
    """The last error describes the present state, not the state at the first try."""
    tries: list[str] = []
    with pytest.raises(OutageError) as caught:
        tries.extend(failing(OutageError, 0.02))
    assert len(tries) > 1
    assert str(caught.value) == tries[-1]


def test_without_time_there_is_a_single_attempt() -> None:
    """A command that must not wait tries once."""
    with pytest.raises(OutageError, match="try 1"):
        list(failing(OutageError, 0))


def test_other_errors_are_not_tried_again() -> None:
    """A wrong schema does not become right by waiting."""
    with pytest.raises(StopError, match="try 1"):
        list(failing(StopError, 30))
