"""Whose fault a failure is."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.testing.builders import make_result
from monitoring_core.testing.clock import FakeClock
from monitoring_testkit.producer.fakes.checks import FakeCanaries
from producer_svc.adapters import canaries as canaries_module
from producer_svc.adapters.canaries import TcpCanaries
from producer_svc.blame import Blame

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def result(target_id: int, reason: Reason | None = None, started_s: float = 0.0) -> CheckResult:
    """A check of one second."""
    started = START + dt.timedelta(seconds=started_s)
    finished = started + dt.timedelta(seconds=1)
    return make_result(
        target_id=target_id, reason=reason, started_at=started, finished_at=finished, error=reason and "why"
    )


def is_down(blame: Blame) -> bool:
    """A function, because mypy assumes that an attribute keeps the value that was asserted before."""
    return blame.down


def test_what_cannot_be_the_network_never_waits() -> None:
    """A wrong status is the website's own, whatever the network does; and a slot that was not run has no website."""
    canaries = FakeCanaries()
    blame = Blame(canaries, FakeClock())
    for passing in (result(1), result(2, Reason.STATUS_MISMATCH), result(3, Reason.TLS_ERROR)):
        assert blame.accept(passing) == [passing]
    missed = make_result(reason=Reason.MISSED_WINDOW)
    assert blame.accept(missed) == [missed]
    assert (canaries.asked, blame.holding) == (0, 0)


def test_without_canaries_nothing_waits() -> None:
    """Without canaries the website is blamed."""
    failed = result(1, Reason.TIMEOUT)
    assert Blame(None, FakeClock()).accept(failed) == [failed]


def test_a_failure_is_the_websites_when_a_canary_answers() -> None:
    """The failure waits for a round of canaries that began after it."""
    canaries = FakeCanaries()
    blame = Blame(canaries, FakeClock())
    first, second = result(1, Reason.TIMEOUT), result(2, Reason.DNS_ERROR)
    assert blame.accept(first) == []
    assert blame.accept(second) == []  # after the round began
    assert (canaries.asked, blame.decided()) == (1, [])
    canaries.answer = True
    assert blame.decided() == [first]
    assert canaries.asked == 2
    canaries.answer = True
    assert blame.decided() == [second]
    assert (blame.holding, blame.down) == (0, False)


def test_failures_are_the_probers_when_no_canary_answers_until_one_does() -> None:
    """Each failure of that time is unknown, and says what was seen."""
    canaries = FakeCanaries()
    clock = FakeClock()
    blame = Blame(canaries, clock)
    for target_id in (1, 2):
        blame.accept(result(target_id, Reason.TIMEOUT))
        canaries.answer = False
        (decided,) = blame.decided()
        assert (decided.status, decided.reason) == (Status.UNKNOWN, Reason.PROBER_ERROR)
        assert decided.error == "no canary answers either; seen: timeout, why"
        assert blame.down
    clock.advance(10)
    blame.accept(result(3, Reason.TIMEOUT, started_s=8.0))  # began before a canary answered
    canaries.answer = True
    assert [decided.status for decided in blame.decided()] == [Status.UNKNOWN]
    assert not blame.down
    blame.accept(result(4, Reason.TIMEOUT, started_s=10.5))
    canaries.answer = True
    assert [decided.status for decided in blame.decided()] == [Status.DOWN]


def test_silent_canaries_do_not_excuse_one_website_while_others_answer() -> None:
    """Canaries may be gone, too: what answers after the failure shows that the network works."""
    canaries = FakeCanaries()
    blame = Blame(canaries, FakeClock())
    failed = result(1, Reason.TIMEOUT)
    blame.accept(failed)
    blame.accept(result(2, started_s=0.5))  # began before the failure ended: shows nothing
    canaries.answer = False
    assert [decided.status for decided in blame.decided()] == [Status.UNKNOWN]
    blame.accept(failed)
    blame.accept(result(2, started_s=1.5))
    canaries.answer = False
    assert blame.decided() == [failed]


def test_the_network_works_again_when_canaries_answer_though_no_website_fails() -> None:
    """A failure hours later is the website's, and the metric does not tell of an outage that is over."""
    canaries, clock = FakeCanaries(), FakeClock()
    blame = Blame(canaries, clock)
    blame.accept(result(1, Reason.CONNECTION_ERROR))
    canaries.answer = False
    assert [decided.status for decided in blame.decided()] == [Status.UNKNOWN]
    assert (blame.down, canaries.asked) == (True, 1)
    answering = result(2, started_s=5.0)
    assert blame.accept(answering) == [answering]
    assert canaries.asked == 2
    assert blame.decided() == []
    blame.accept(result(3, started_s=7.0))
    canaries.answer = False  # these websites may be in the prober's own network
    assert blame.decided() == []
    assert is_down(blame)
    clock.advance(10)
    blame.accept(result(2, started_s=9.0))
    canaries.answer = True
    assert blame.decided() == []
    assert not blame.down
    assert (canaries.asked, blame.holding) == (3, 0)
    clock.advance(3_600)
    failed = result(1, Reason.TIMEOUT, started_s=3_609.0)
    assert blame.accept(failed) == []
    canaries.answer = True
    assert blame.decided() == [failed]


def test_a_check_that_the_prober_itself_failed_is_no_answer() -> None:
    """It shows nothing of the network: the failures beside it are still the prober's."""
    canaries = FakeCanaries()
    blame = Blame(canaries, FakeClock())
    blame.accept(result(1, Reason.TIMEOUT))
    own = result(2, Reason.PROBER_ERROR, started_s=1.5)
    assert blame.accept(own) == [own]
    canaries.answer = False
    assert [decided.status for decided in blame.decided()] == [Status.UNKNOWN]
    assert blame.accept(own) == [own]
    assert canaries.asked == 1


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.status is Status.UNKNOWN])
def test_no_unknown_result_is_the_answer_of_a_website(reason: Reason) -> None:
    """Whatever made it unknown: it must not let another website be blamed for the prober's network."""
    canaries = FakeCanaries()
    blame = Blame(canaries, FakeClock())
    blame.accept(result(1, Reason.TIMEOUT))
    for target_id in (2, 3):
        blame.accept(result(target_id, reason, started_s=1.5))
    canaries.answer = False
    assert [decided.reason for decided in blame.decided()] == [Reason.PROBER_ERROR]


def test_a_clock_that_is_set_back_excuses_no_later_failure() -> None:
    """What began after the network came back says so by the new clock."""
    canaries, clock = FakeCanaries(), FakeClock()
    blame = Blame(canaries, clock)
    blame.accept(result(1, Reason.TIMEOUT))
    canaries.answer = False
    blame.decided()
    blame.accept(result(1, Reason.TIMEOUT))
    canaries.answer = True
    blame.decided()
    clock.step_wall(-3_600)
    clock.advance(60)
    failed = result(1, Reason.TIMEOUT, started_s=-3_545.0)
    blame.accept(failed)
    canaries.answer = True
    assert blame.decided() == [failed]


def test_what_is_undecided_at_the_end_blames_nobody() -> None:
    """Each slot still ends as a row."""
    blame = Blame(FakeCanaries(), FakeClock())
    blame.accept(result(1, Reason.TIMEOUT))
    blame.accept(result(2, Reason.TIMEOUT))
    assert [(rest.target_id, rest.status) for rest in blame.rest()] == [(1, Status.UNKNOWN), (2, Status.UNKNOWN)]
    assert blame.holding == 0


def test_canaries_answer_when_one_of_them_takes_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no canary takes a connection, the answer is no."""
    monkeypatch.setattr(canaries_module, "MIN_ROUND_S", 0.05)

    def answer(*addresses: tuple[str, int]) -> bool:
        canaries = TcpCanaries(addresses)
        canaries.ask()
        deadline = time.monotonic() + 60
        while (answered := canaries.poll()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return answered

    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        assert answer(refusing.getsockname(), listening.getsockname())
        assert not answer(refusing.getsockname(), ("does-not-exist.invalid", 80))


@pytest.mark.parametrize("name", ["canaries", "canary"])
def test_canaries_give_an_answer_on_a_machine_without_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise held failures would wait for ever; without an answer no website is blamed."""
    start = threading.Thread.start

    def sometimes(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", sometimes)
    monkeypatch.setattr(canaries_module, "MIN_ROUND_S", 0.05)
    blame = Blame(TcpCanaries([("127.0.0.1", 1)]), FakeClock())
    blame.accept(result(1, Reason.TIMEOUT))
    deadline = time.monotonic() + 60
    while not (decided := blame.decided()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [answer.reason for answer in decided] == [Reason.PROBER_ERROR]


def test_a_round_without_an_answer_takes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Canaries that refuse are not flooded, and websites have time to answer meanwhile."""
    slept: list[float] = []
    monkeypatch.setattr(canaries_module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=slept.append))
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        canaries = TcpCanaries([refusing.getsockname()])
        canaries._round()
    assert canaries.poll() is False
    assert 0.5 < sum(slept) <= 1.0
