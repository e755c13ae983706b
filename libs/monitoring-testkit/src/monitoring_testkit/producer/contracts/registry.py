"""What the table of targets and the leases promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from monitoring_core.errors import OutageError
from monitoring_core.testing.builders import make_record

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from monitoring_core.targets import TargetRecord
    from producer_svc.ports import Leases, TargetTable

_LONG_S = 600.0
_SHORT_S = 0.05


class TargetTableStage(Protocol):
    """A table of targets, empty when a test begins."""

    @property
    def table(self) -> TargetTable:
        """What reads it."""
        ...

    def put(self, *records: TargetRecord) -> None:
        """Add targets in one change; one of a known ID replaces the old one."""
        ...

    def remove(self, target_id: int) -> None:
        """Remove a target."""
        ...

    def away(self) -> AbstractContextManager[None]:
        """The table cannot be asked within the block."""
        ...


class TargetTableContract:
    """What producer_svc.ports.TargetTable promises."""

    @pytest.fixture
    def stage(self) -> TargetTableStage:
        raise NotImplementedError

    def test_the_version_changes_with_the_targets_and_with_nothing_else(self, stage: TargetTableStage) -> None:
        """A version never comes back, even if the targets are again what they were."""
        once = _record(1, regexp="x")
        edited, inactive = _record(1, regexp="y"), _record(1, regexp="x", active=False)
        versions = [stage.table.version()[0]]
        for record in (once, edited, once, inactive, None):
            if record is None:
                stage.remove(1)
            else:
                stage.put(record)
            versions.append(stage.table.version()[0])
            list(stage.table.read(range(10)))
            assert stage.table.version()[0] == versions[-1]
        assert len(set(versions)) == len(versions)

    def test_the_moment_of_the_version_does_not_go_back(self, stage: TargetTableStage) -> None:
        """Milliseconds since the epoch, of the clock that also dates the targets."""
        stage.put(_record(1))
        moments = [stage.table.version()[1] for _ in range(3)]
        assert moments == sorted(moments)
        ((_, active_since_ms),) = stage.table.read(range(1))
        assert active_since_ms <= moments[0]

    def test_active_targets_alone_are_counted_and_read_in_order_of_id(self, stage: TargetTableStage) -> None:
        """Whatever the order in which they came."""
        records = [_record(number, regexp="x") for number in (5, 1, 4)]
        stage.put(*records, _record(3, active=False))
        assert stage.table.count_active() == 3
        assert [record for record, _ in stage.table.read(range(10))] == sorted(records, key=lambda r: r.id or 0)

    @pytest.mark.parametrize(
        ("ranks", "ids"),
        [
            (range(5), [10, 20, 40, 50]),
            (range(1, 3), [20, 40]),
            (range(3, 9), [50]),
            (range(4, 9), []),
            (range(2, 2), []),
        ],
        ids=str,
    )
    def test_ranks_count_active_targets_from_zero(self, stage: TargetTableStage, ranks: range, ids: list[int]) -> None:
        """The last one is not included, and ranks past the end are empty."""
        stage.put(*(_record(number, active=number != 30) for number in (10, 20, 30, 40, 50)))
        assert [record.id for record, _ in stage.table.read(ranks)] == ids

    def test_a_table_that_is_away_is_an_outage_and_works_again_afterwards(self, stage: TargetTableStage) -> None:
        """For every method."""
        stage.put(_record(1))
        version, _ = stage.table.version()
        with stage.away():
            for ask in (stage.table.version, stage.table.count_active, lambda: list(stage.table.read(range(1)))):
                with pytest.raises(OutageError):
                    ask()
        assert stage.table.version()[0] == version
        assert stage.table.count_active() == len(list(stage.table.read(range(9)))) == 1


def _record(target_id: int, *, regexp: str | None = None, active: bool = True) -> TargetRecord:
    return make_record(id=target_id, url=f"http://h{target_id}/", regexp=regexp, active=active)


class LeasesStage(Protocol):
    """The leases of one location. Nobody has held one when a test begins."""

    def leases(self, holder: str) -> Leases:
        """They as this producer sees them."""
        ...

    def now_ms(self) -> int:
        """The moment by the clock that the leases run by."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Return when so much time has passed."""
        ...

    def away(self) -> AbstractContextManager[None]:
        """They cannot be asked within the block."""
        ...


class LeasesContract:
    """What producer_svc.ports.Leases promises."""

    @pytest.fixture
    def stage(self) -> LeasesStage:
        raise NotImplementedError

    def test_an_id_has_one_holder(self, stage: LeasesStage) -> None:
        """Another producer neither acquires, renews nor releases it; its own acquires it again."""
        first, second = stage.leases("first"), stage.leases("second")
        began_ms = first.acquire(1, _LONG_S)
        assert began_ms is not None
        assert second.acquire(1, _LONG_S) is None
        assert second.renew(1, began_ms + 1, _LONG_S) is False
        second.release(1, began_ms + 1)
        assert first.holder(1) == second.holder(1) == "first"
        assert first.acquire(1, _LONG_S) == began_ms
        assert first.renew(1, began_ms, _LONG_S) is True

    def test_the_first_holder_of_an_id_accounts_for_all_that_was_due_before_it_came(self, stage: LeasesStage) -> None:
        """Whichever ID comes first: the slots of a target are due from its activation."""
        assert [stage.leases("first").acquire(producer_id, _LONG_S) for producer_id in (3, 1, 2)] == [0, 0, 0]

    def test_the_next_holder_goes_on_at_the_watermark_of_the_last(self, stage: LeasesStage) -> None:
        """It is moved by renewal and release, and never goes back."""
        first, second = stage.leases("first"), stage.leases("second")
        began_ms = first.acquire(1, _LONG_S) or 0
        first.renew(1, began_ms + 30, _LONG_S)
        first.renew(1, began_ms + 10, _LONG_S)
        assert first.acquire(1, _LONG_S) == began_ms + 30
        first.release(1, began_ms + 20)
        assert second.acquire(1, _LONG_S) == began_ms + 30
        second.release(1, began_ms + 40)
        assert first.acquire(1, _LONG_S) == began_ms + 40

    def test_a_lease_that_has_run_out_is_anybodys(self, stage: LeasesStage) -> None:
        """Who held it before learns of it when it renews."""
        first, second = stage.leases("first"), stage.leases("second")
        began_ms = first.acquire(1, _SHORT_S) or 0
        stage.pass_time(2 * _SHORT_S)
        assert second.acquire(1, _LONG_S) == began_ms
        assert first.renew(1, began_ms + 1, _LONG_S) is False
        assert first.acquire(1, _LONG_S) is None
        assert first.holder(1) == "second"

    def test_a_lease_that_has_run_out_and_nobody_took_goes_on(self, stage: LeasesStage) -> None:
        """A producer that could not renew for a while keeps its ID."""
        first, second = stage.leases("first"), stage.leases("second")
        began_ms = first.acquire(1, _SHORT_S) or 0
        stage.pass_time(2 * _SHORT_S)
        assert first.renew(1, began_ms, _LONG_S) is True
        assert second.acquire(1, _LONG_S) is None

    def test_a_renewal_sets_the_end_of_the_lease_anew(self, stage: LeasesStage) -> None:
        """From the moment of the renewal: earlier or later than before."""
        first, second = stage.leases("first"), stage.leases("second")
        for producer_id, before_s, after_s in ((1, _SHORT_S, _LONG_S), (2, _LONG_S, _SHORT_S)):
            began_ms = first.acquire(producer_id, before_s) or 0
            assert first.renew(producer_id, began_ms, after_s) is True
        stage.pass_time(2 * _SHORT_S)
        assert second.acquire(1, _LONG_S) is None
        assert second.acquire(2, _LONG_S) is not None

    def test_free_ids_are_the_lowest_that_nobody_holds(self, stage: LeasesStage) -> None:
        """Never held, released or run out; at most as many as are asked for."""
        first, second = stage.leases("first"), stage.leases("second")
        assert first.free(3, 9) == [1, 2, 3]
        for producer_id in (1, 3, 5):
            first.acquire(producer_id, _LONG_S)
        second.acquire(2, _SHORT_S)
        first.release(5, 0)
        stage.pass_time(2 * _SHORT_S)
        assert first.free(6, 9) == second.free(6, 9) == [2, 4, 5, 6]
        assert first.free(6, 2) == [2, 4]
        assert first.free(1, 9) == first.free(0, 9) == first.free(6, 0) == []

    def test_what_was_left_by_ids_that_nobody_holds_is_told(self, stage: LeasesStage) -> None:
        """The lowest watermark within the look-back."""
        leases = stage.leases("first")
        assert leases.unheld_since(_LONG_S) is None
        began = dict.fromkeys((1, 2, 3), stage.now_ms())
        for producer_id in began:
            leases.acquire(producer_id, _LONG_S)
        assert leases.unheld_since(_LONG_S) is None
        leases.release(2, began[2] + 70)
        assert leases.unheld_since(_LONG_S) == began[2] + 70
        leases.renew(3, began[3] + 20, _SHORT_S)
        stage.pass_time(1.0)
        assert leases.unheld_since(_LONG_S) == min(began[2] + 70, began[3] + 20)
        assert leases.unheld_since(0.5) is None

    def test_the_last_holder_is_named_until_there_is_another(self, stage: LeasesStage) -> None:
        """After its release, too; None before there was one."""
        first, second = stage.leases("first"), stage.leases("second")
        assert first.holder(1) is None
        first.acquire(1, _LONG_S)
        first.release(1, 0)
        assert second.holder(1) == "first"
        second.acquire(1, _LONG_S)
        assert first.holder(1) == "second"

    def test_leases_that_cannot_be_asked_are_an_outage_and_hold_afterwards(self, stage: LeasesStage) -> None:
        """For every method."""
        leases = stage.leases("first")
        began_ms = leases.acquire(1, _LONG_S) or 0
        with stage.away():
            for ask in (
                lambda: leases.acquire(1, _LONG_S),
                lambda: leases.renew(1, began_ms + 1, _LONG_S),
                lambda: leases.release(1, began_ms + 1),
                lambda: leases.free(1, 1),
                lambda: leases.unheld_since(_LONG_S),
                lambda: leases.holder(1),
            ):
                with pytest.raises(OutageError):
                    ask()
        assert stage.leases("second").acquire(1, _LONG_S) is None
        assert leases.acquire(1, _LONG_S) == began_ms
