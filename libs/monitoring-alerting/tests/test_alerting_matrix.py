"""Faults of the surroundings: each decided right, none false and none missed."""

from __future__ import annotations

import pytest

from monitoring_alerting.testing.matrix import RULES, SCENES, Rule, fires, outcome
from monitoring_alerting.testing.scenes import Scene, loud


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_fault_is_decided_right(scene: Scene) -> None:
    """A website is called down when it is, and only then; when nobody knows, that is told."""
    assert tuple(loud(scene.decide())) == scene.told


@pytest.mark.parametrize(("rule", "false_alarms"), zip(RULES.values(), (2, 8, 7), strict=True), ids=RULES)
def test_a_well_known_rule_raises_false_alarms_and_misses_nothing(rule: Rule, false_alarms: int) -> None:
    """The matrix tells rules apart, and does them no wrong: none misses an outage, given the same patience."""
    outcomes = [outcome(fires(scene, rule), scene.down) for scene in SCENES]
    assert (outcomes.count("false alarm"), outcomes.count("missed")) == (false_alarms, 0)
