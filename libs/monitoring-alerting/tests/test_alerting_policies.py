"""alerts.yaml: strict, every fault at once, and the smallest file works."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from monitoring_alerting.policies import DownPolicy, load_policies
from monitoring_core.config import ConfigError

BAD = Path(__file__).with_name("bad_policies")
SMALLEST = """
policies:
  - name: website-down
    match: {team: shop}
    kind: down
    failures: {at_least: 3, of_last: 3}
    locations: {at_least: 2, of: [berlin, tokyo, virginia]}
    recovery: {slots: 2, locations: 2}
    blind_after: 10m
    severity: critical
"""


@pytest.mark.parametrize("case", sorted(BAD.glob("*.yaml")), ids=lambda case: case.stem)
def test_bad_policies_are_refused_with_this_message(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file of the folder has its exact message, with file, line and path."""
    monkeypatch.chdir(tmp_path)
    Path("alerts.yaml").write_bytes(case.read_bytes())
    with pytest.raises(ConfigError) as caught:
        load_policies(Path("alerts.yaml"))
    assert f"{caught.value}\n" == case.with_suffix(".expected").read_text()


def test_the_smallest_file_works(tmp_path: Path) -> None:
    """Every other key has a default."""
    file = tmp_path / "alerts.yaml"
    file.write_text(SMALLEST)
    (policy,) = load_policies(file).all
    assert isinstance(policy, DownPolicy)
    assert (policy.failures.at_least, policy.locations.of) == (3, ("berlin", "tokyo", "virginia"))
    assert (policy.blind_after, policy.flapping.changes) == (dt.timedelta(minutes=10), 6)


def test_the_policy_that_names_most_labels_is_chosen(tmp_path: Path) -> None:
    """One of each kind; of two with equally many, the first of the file."""
    file = tmp_path / "alerts.yaml"
    file.write_text("""
policies:
  - {name: all, kind: down}
  - {name: shop, kind: down, match: {team: shop}}
  - {name: prod, kind: down, match: {env: prod}}
  - {name: both, kind: down, match: {team: shop, tier: gold}}
  - {name: coverage, kind: missed}
""")
    policies = load_policies(file)

    def names(**labels: str) -> list[str]:
        return sorted(policy.name for policy in policies.chosen(labels))

    assert names() == ["all", "coverage"]
    assert names(team="shop", env="prod") == ["coverage", "shop"]
    assert names(team="shop", env="prod", tier="gold") == ["both", "coverage"]
    assert names(env="prod") == ["coverage", "prod"]
