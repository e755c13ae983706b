"""Faults of the surroundings: each decided right, none false and none missed."""

from __future__ import annotations

import pytest

from monitoring_alerting.testing.matrix import RULES, SCENES, fires
from monitoring_alerting.testing.scenes import Scene, loud


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_fault_is_decided_right(scene: Scene) -> None:
    """A website is called down when it is, and only then; when nobody knows, that is told."""
    assert tuple(loud(scene.decide())) == scene.told


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_well_known_rule_is_wrong_somewhere(rule: object) -> None:
    """The matrix tells rules apart."""
    assert any(fires(scene, rule) != scene.down for scene in SCENES)  # type: ignore[arg-type]
