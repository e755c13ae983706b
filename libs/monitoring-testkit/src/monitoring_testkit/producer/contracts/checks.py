"""What the engines and the canaries promise."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import pytest

from monitoring_core.clock import from_ms
from monitoring_testkit.waiting import until
from producer_svc.check import Check, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_core.result import CheckResult
    from monitoring_core.targets import Target
    from producer_svc.ports import Canaries, Engine

PLACES = 3
_ORIGIN = Origin(7, "here")
_ELSEWHERE = Origin(8, "there")


class EngineStage(Protocol):
    """An engine with PLACES places, and websites."""

    @property
    def engine(self) -> Engine:
        """What checks them."""
        ...

    def quick(self, target_id: int) -> Target:
        """A target whose website answers at once."""
        ...

    def silent(self, target_id: int) -> Target:
        """A target whose website takes the request and does not answer. A test has it in place of quick ones."""
        ...


class EngineContract:
    """What producer_svc.ports.Engine promises."""

    @pytest.fixture
    def stage(self) -> EngineStage:
        raise NotImplementedError

    def test_a_result_names_its_target_its_slot_and_its_origin(self, stage: EngineStage) -> None:
        """The origin of its own check, whatever came later."""
        stage.engine.submit(_check(stage.quick(1), 60_000), _ORIGIN)
        stage.engine.submit(_check(stage.quick(1), 120_000), _ELSEWHERE)
        stage.engine.submit(_check(stage.quick(2), 60_000), _ORIGIN)
        results = _drain(stage.engine, 3)
        assert sorted((r.target_id, r.scheduled_at, r.producer_id, r.location) for r in results) == [
            (1, from_ms(60_000), 7, "here"),
            (1, from_ms(120_000), 8, "there"),
            (2, from_ms(60_000), 7, "here"),
        ]

    def test_a_result_is_drained_once(self, stage: EngineStage) -> None:
        """An engine may be used again and again."""
        for number in range(1, 3 * PLACES):
            stage.engine.submit(_check(stage.quick(number)), _ORIGIN)
            assert [result.target_id for result in _drain(stage.engine, 1)] == [number]
            assert list(stage.engine.drain_finished(0.0)) == []

    def test_a_check_has_its_place_until_its_result_is_drained(self, stage: EngineStage) -> None:
        """What is free and what runs are all the places, at any time."""
        engine = stage.engine
        assert (engine.free, engine.running) == (PLACES, 0)
        for number in range(1, PLACES + 1):
            engine.submit(_check(stage.quick(number)), _ORIGIN)
            assert (engine.free, engine.running) == (PLACES - number, number)
        drained = 0
        while drained < PLACES:
            drained += len(engine.drain_finished(30.0))
            assert (engine.free, engine.running) == (drained, PLACES - drained)

    def test_a_check_that_is_submitted_early_begins_when_it_is_due(self, stage: EngineStage) -> None:
        """It has its place from then on, and its queue delay counts from when it was due."""
        engine = stage.engine
        check = Check(stage.quick(1), 60_000, time.monotonic() + engine.lead_s)
        engine.submit(check, _ORIGIN)
        assert engine.running == 1
        assert engine.free == PLACES - 1 + (engine.lead_s > 0)
        (result,) = _drain(engine, 1)
        assert time.monotonic() >= check.due
        assert (result.queue_delay_s or 0.0) < 5

    def test_a_check_that_is_abandoned_before_it_is_due_is_given_back(self, stage: EngineStage) -> None:
        """And never begins."""
        engine = stage.engine
        engine.submit(Check(stage.quick(1), 60_000, time.monotonic() + engine.lead_s), _ORIGIN)
        assert _ids(engine.abandon()) == [1]
        assert list(engine.drain_finished(2 * engine.lead_s)) == []
        assert (engine.free, engine.running) == (PLACES, 0)

    def test_as_many_results_as_are_enough_are_waited_for(self, stage: EngineStage) -> None:
        """So that nobody need wake up for each; and no longer than is allowed."""
        for number in range(1, PLACES):
            stage.engine.submit(_check(stage.quick(number)), _ORIGIN)
        assert sorted(r.target_id for r in stage.engine.drain_finished(30.0, PLACES - 1)) == [1, 2]
        stage.engine.submit(_check(stage.quick(3)), _ORIGIN)
        assert [r.target_id for r in stage.engine.drain_finished(5.0, PLACES)] == [3]

    def test_nothing_is_drained_before_a_check_has_finished(self, stage: EngineStage) -> None:
        """It is waited for no longer than is allowed."""
        stage.engine.submit(_check(stage.silent(1)), _ORIGIN)
        began = time.monotonic()
        assert list(stage.engine.drain_finished(0.0)) == []
        assert list(stage.engine.drain_finished(0.1)) == []
        assert time.monotonic() - began < 10
        assert stage.engine.running == 1
        stage.engine.abandon()

    def test_checks_that_are_abandoned_are_given_back_and_never_drained(self, stage: EngineStage) -> None:
        """All of them, and their places are free."""
        checks = [_check(stage.silent(number)) for number in range(1, PLACES + 1)]
        for check in checks:
            stage.engine.submit(check, _ORIGIN)
        stage.engine.drain_finished(0.0)
        assert sorted(_ids(stage.engine.abandon())) == [1, 2, 3]
        assert (stage.engine.free, stage.engine.running) == (PLACES, 0)
        assert list(stage.engine.drain_finished(0.1)) == []
        assert list(stage.engine.abandon()) == []

    def test_each_check_is_either_drained_or_abandoned(self, stage: EngineStage) -> None:
        """Also one that has finished meanwhile."""
        for number in range(1, PLACES + 1):
            stage.engine.submit(_check(stage.quick(number)), _ORIGIN)
        drained = [result.target_id for result in stage.engine.drain_finished(0.01)]
        time.sleep(0.01)  # others finish, and nobody drains them
        abandoned = _ids(stage.engine.abandon())
        drained += [result.target_id for result in stage.engine.drain_finished(0.1)]
        assert sorted(drained + abandoned) == [1, 2, 3]


def _check(target: Target, scheduled_ms: int = 60_000) -> Check:
    return Check(target, scheduled_ms, time.monotonic())


def _ids(checks: Sequence[Check]) -> list[int]:
    return [check.target.id for check in checks]


def _drain(engine: Engine, count: int) -> list[CheckResult]:
    results: list[CheckResult] = []

    def enough() -> bool:
        results.extend(engine.drain_finished(1.0))
        return len(results) >= count

    until(enough)
    return results


class CanariesStage(Protocol):
    """Two hosts, one of which answers or does not."""

    @property
    def canaries(self) -> Canaries:
        """What asks them."""
        ...

    def listen(self) -> None:
        """From now on one host answers."""
        ...

    def end_round(self) -> None:
        """Let the round end as soon as it can."""
        ...


class CanariesContract:
    """What producer_svc.ports.Canaries promises."""

    @pytest.fixture
    def stage(self) -> CanariesStage:
        raise NotImplementedError

    def test_one_host_that_answers_is_enough(self, stage: CanariesStage) -> None:
        """Then the network works."""
        stage.listen()
        stage.canaries.ask()
        stage.end_round()
        assert _answer(stage.canaries) is True

    def test_without_an_answer_the_network_does_not_work(self, stage: CanariesStage) -> None:
        """That is told when the round is over, and not before."""
        stage.canaries.ask()
        assert stage.canaries.poll() is None
        stage.end_round()
        assert _answer(stage.canaries) is False

    def test_each_round_has_an_answer_of_its_own(self, stage: CanariesStage) -> None:
        """Without a round there is none."""
        assert stage.canaries.poll() is None
        stage.canaries.ask()
        stage.end_round()
        assert _answer(stage.canaries) is False
        assert stage.canaries.poll() is None
        stage.listen()
        stage.canaries.ask()
        stage.end_round()
        assert _answer(stage.canaries) is True
        assert stage.canaries.poll() is None


def _answer(canaries: Canaries) -> bool:
    answers: list[bool] = []

    def over() -> bool:
        if (answer := canaries.poll()) is not None:
            answers.append(answer)
        return bool(answers)

    until(over)
    return answers[0]
