"""Whenever the process that decides a partition is killed, each transition is stored once, and none is invented."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_svc.partition import Partition
from monitoring_alerting.policies import DownPolicy, Flapping, Kind, Locations, Policies
from monitoring_alerting.testing.scenes import MINUTE_MS, START, result, target
from monitoring_core.clock import to_ms
from monitoring_testkit.alerts.fakes import TOPIC, FakeStore

POLICY = DownPolicy(
    name="down", kind=Kind.DOWN, locations=Locations(at_least=2, of=("berlin", "tokyo")), flapping=Flapping(changes=2)
)
POLICIES = Policies((POLICY,))
SEVERE = Policies((attrs.evolve(POLICY, recovery=attrs.evolve(POLICY.recovery, slots=4)),))
signs = st.text("uuddd?.", min_size=10, max_size=30)


@attrs.define
class Process:
    """What decides a partition, until it is killed.

    Attributes:
        targets: those in the table now.
        unstored: what happened since the last commit and is lost with the process, so that it is tried again.
    """

    store: FakeStore
    policies: Policies
    messages: list[object]
    partition: Partition | None = None
    targets: tuple[int, ...] = (1, 2)

    def begin(self) -> Partition:
        if self.partition is None:
            kept = self.store.take_over(TOPIC, 0, 0)
            watched = [target(number) for number in self.targets]
            self.partition = Partition.taken_over(0, kept, (0, len(self.messages)), self.policies, watched)
        return self.partition

    def commit(self, with_snapshot: bool) -> None:
        partition = self.begin()
        if step := partition.step(with_snapshot):
            self.store.store(TOPIC, step)
            partition.done(step)

    def kill(self) -> None:
        self.partition = None


@settings(max_examples=150, deadline=None)
@given(st.data(), signs, signs)
def test_killed_at_any_moment_it_stores_what_one_that_never_died_stores(
    data: st.DataObject, berlin: str, tokyo: str
) -> None:
    """The clock goes on by itself now and then, policies and targets change, and snapshots come whenever they come."""
    messages: list[object] = [
        result(minute, name, sign, number)
        for minute in range(30)
        for number in (1, 2)
        for name, sees in (("berlin", berlin), ("tokyo", tokyo[number:]))
        if (sign := sees[minute : minute + 1] or ".") != "."
    ]
    mortal = Process(FakeStore(), POLICIES, messages)
    immortal = Process(FakeStore(), POLICIES, messages)
    clock = to_ms(START)
    at = 0
    while at < len(messages):
        until = min(len(messages), at + data.draw(st.integers(1, 12)))
        event = data.draw(st.sampled_from(["none", "none", "tick", "policies", "targets"]))
        for process in (mortal, immortal):
            # What is not stored when it is killed is received again, and happens again.
            for _ in range(data.draw(st.integers(0, 2)) if process is mortal else 0):
                lives_until = data.draw(st.integers(process.begin().read, until))
                receive(process, lives_until)
                if data.draw(st.booleans()):
                    process.commit(data.draw(st.booleans()))
                process.kill()
            receive(process, until)
            happen(process, event, clock + (at // 4 + 12) * MINUTE_MS)
            process.commit(data.draw(st.booleans()))
        at = until
    assert list(mortal.store.told) == list(immortal.store.told)
    assert mortal.store.told == immortal.store.told


def receive(process: Process, until: int) -> None:
    """Decide messages up to an offset, as far as that was not done."""
    partition = process.begin()
    for offset in range(partition.read, until):
        partition.take(offset, process.messages[offset])  # type: ignore[arg-type] # results


def happen(process: Process, event: str, moment: int) -> None:
    """Something other than a result."""
    partition = process.begin()
    if event == "tick":
        partition.tick(moment)
    elif event == "policies":
        process.policies = SEVERE if process.policies is POLICIES else POLICIES
    elif event == "targets":
        process.targets = (1,) if process.targets == (1, 2) else (1, 2)
    if event in ("policies", "targets"):
        partition.change(process.policies, [target(number) for number in process.targets])


def test_a_partition_that_was_lost_stores_nothing_more() -> None:
    """Whoever takes it over ends the right of the one before."""
    store = FakeStore()
    one, other = Process(store, POLICIES, []), Process(store, POLICIES, [])
    one.begin()
    other.commit(True)
    try:
        one.commit(True)
    except Exception as error:
        assert type(error).__name__ == "LostError"
    else:
        raise AssertionError("it was stored")


def test_messages_that_kafka_no_longer_has_are_passed_over() -> None:
    """The partition goes on from what is remembered."""
    messages: list[object] = [result(minute, name, "d") for minute in range(8) for name in ("berlin", "tokyo")]
    process = Process(FakeStore(), POLICIES, messages)
    receive(process, 4)
    process.commit(True)
    kept = process.store.take_over(TOPIC, 0, 6)
    partition = Partition.taken_over(0, kept, (6, 16), POLICIES, [target()])
    assert (partition.read, partition.goal, partition.caught_up) == (6, 6, True)
    partition.take(6, messages[6])  # type: ignore[arg-type] # a result
    step = partition.step(False)
    assert step
    process.store.store(TOPIC, step)
    assert process.store.rows[0].next_offset == 7


def test_a_topic_that_was_made_anew_is_read_from_its_beginning() -> None:
    """Open alerts stay open: they are about websites, and not about offsets."""
    messages: list[object] = [result(minute, name, "d") for minute in range(8) for name in ("berlin", "tokyo")]
    process = Process(FakeStore(), POLICIES, messages)
    receive(process, 16)
    process.commit(True)
    (*_, fired) = process.store.told.values()
    kept = attrs.evolve(process.store.take_over(TOPIC, 0, 0), moved=True)
    partition = Partition.taken_over(0, kept, (0, 4), POLICIES, [target()])
    assert (partition.read, partition.goal) == (0, 0)
    for offset, minute in enumerate(range(8, 12)):
        for number, name in enumerate(("berlin", "tokyo")):
            partition.take(2 * offset + number, result(minute, name, "u"))
    assert {one.alert_id for one in partition.transitions} == {fired.alert_id}
    assert partition.transitions[-1].state == "resolved"
