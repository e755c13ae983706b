"""The matrix of faults: what is decided in each, and what three well-known rules would have done."""

from __future__ import annotations

from collections.abc import Callable

from monitoring_alerting.testing.scenes import Place, Scene, loud

_THREE = ("berlin", "tokyo", "virginia")
UP = "u" * 40
OUTAGE = "u" * 10 + "d" * 15 + "u" * 15
FIRES = ("firing", "resolved")


def _scene(
    name: str, *places: str | Place, told: tuple[str, ...] = (), of: tuple[str, ...] = _THREE, **more: int
) -> Scene:
    named = zip(_THREE, places, strict=False)
    seen = {location: Place(place) if isinstance(place, str) else place for location, place in named}
    return Scene(name, seen, told, "firing" in told, of=of, **more)


SCENES = [
    _scene("all is well", UP, UP, UP),
    _scene("down, seen from everywhere", OUTAGE, OUTAGE, OUTAGE, told=FIRES),
    _scene("down, seen from two of three", OUTAGE, OUTAGE, UP, told=FIRES),
    _scene("down for two slots", UP[:10] + "dd" + UP[:28], UP[:10] + "dd" + UP[:28], UP[:10] + "dd" + UP[:28]),
    _scene("one location is cut off and sees everything down", OUTAGE, UP, UP),
    _scene("one location is cut off and blames itself", UP[:10] + "?" * 30, UP, UP),
    _scene("one location is cut off, then the website fails", UP[:10] + "?" * 30, OUTAGE, OUTAGE, told=FIRES),
    _scene("one location dies", UP[:10], UP, UP),
    _scene("one location dies while it sees a failure", UP[:7] + "ddd", UP, UP),
    _scene("one location dies while it sees a failure, later another one alone sees one", UP[:7] + "ddd",
           UP[:20] + "d" * 10 + UP[:10], UP),
    _scene("one location dies, then the website fails", UP[:5], OUTAGE, OUTAGE, told=FIRES),
    _scene("one location dies, another one alone sees a failure", UP[:5], OUTAGE, UP),
    _scene("two locations die", UP, UP[:10], UP[:10], told=("undetermined",)),
    _scene("two locations die while they see a failure", UP, UP[:8] + "dd", UP[:8] + "dd", told=("undetermined",)),
    _scene("two locations die and the third sees a failure", OUTAGE, UP[:5], UP[:5], told=("undetermined",)),
    _scene("all locations die", UP[:10], UP[:10], UP[:10], told=("undetermined",), runs_on=20),
    _scene("all locations die for less than blind_after", *[UP[:10] + "." * 8 + UP[:22]] * 3),
    _scene("two of three are unknown", UP, "?" * 40, "?" * 40, told=("undetermined",)),
    _scene("two of three are unknown and the third sees a failure", OUTAGE, "?" * 40, "?" * 40, told=("undetermined",)),
    _scene("all are unknown", "?" * 40, "?" * 40, "?" * 40, told=("undetermined",)),
    _scene("all are unknown for a while", *[UP[:10] + "?" * 15 + UP[:15]] * 3, told=("undetermined", "resolved")),
    _scene("every second result is unknown", *["u?" * 20] * 3),
    _scene("one location is slow by 90 seconds", OUTAGE, Place(OUTAGE, late=1), OUTAGE, told=FIRES),
    _scene("one location is slow by ten minutes", Place(OUTAGE, late=10), OUTAGE, OUTAGE, told=FIRES),
    _scene("one location is an hour late", Place(OUTAGE, late=60), UP, UP),
    _scene("two locations are an hour late", Place(OUTAGE, late=60), Place(OUTAGE, late=60), UP + UP + UP[:20],
           told=("undetermined",)),
    _scene("one clock is an hour ahead", Place(UP, clock=60), UP, UP),
    _scene("one clock is an hour ahead, and the website fails", Place(OUTAGE, clock=60), OUTAGE, OUTAGE, told=FIRES),
    _scene("one clock is an hour behind, and the website fails", Place(OUTAGE, clock=-60), OUTAGE, OUTAGE, told=FIRES),
    _scene("one clock is an hour ahead, and that location fails", Place(OUTAGE, clock=60), UP, UP),
    _scene("one clock is 3 minutes ahead, and the website fails", Place(OUTAGE, clock=3), OUTAGE, OUTAGE, told=FIRES),
    _scene("every result comes twice", *[Place(OUTAGE, twice=True)] * 3, told=FIRES),
    _scene("two locations disagree", OUTAGE, UP, of=("berlin", "tokyo")),
    _scene("a location is added", UP, UP, "." * 20 + UP[:20], of=()),
    _scene("a location is added that sees a failure", UP, UP, "." * 20 + "d" * 20, of=()),
    _scene("a location is removed, then the website fails", OUTAGE, OUTAGE, UP[:5], of=(), told=FIRES),
    _scene("one location of one is enough", OUTAGE, of=("berlin",), at_least=1, told=FIRES),
]  # fmt: skip

Rule = Callable[[int, dict[str, tuple[str, int]], int], bool]
_CONNECTED_FOR = 3


def last_status(needed: int, seen: dict[str, tuple[str, int]], _: int) -> bool:
    """The last status of each location, however old."""
    return sum(status == "d" for status, _ in seen.values()) >= needed


def shrunk_quorum(needed: int, seen: dict[str, tuple[str, int]], minute: int) -> bool:
    """As many locations as are needed, or all that are connected if those are fewer."""
    connected = [status for status, at in seen.values() if minute - at <= _CONNECTED_FOR]
    return sum(status == "d" for status in connected) >= min(needed, len(connected))


def half(_: int, seen: dict[str, tuple[str, int]], minute: int) -> bool:
    """Half of those that are connected, or more."""
    connected = [status for status, at in seen.values() if minute - at <= _CONNECTED_FOR]
    return bool(connected) and 2 * sum(status == "d" for status in connected) >= len(connected)


RULES: dict[str, Rule] = {
    "last status without age": last_status,
    "quorum shrunk to who is connected": shrunk_quorum,
    "majority with a half": half,
}


def fires(scene: Scene, rule: Rule) -> bool:
    """Whether a rule would have raised an alarm, given that it too waits for three failures of a location in a row."""
    by_minute: dict[int, list[tuple[str, str]]] = {}
    for location, place in scene.places.items():
        for minute, sign in enumerate(place.sees):
            if sign != ".":
                by_minute.setdefault(minute + place.late, []).append((location, sign))
    run: dict[str, int] = {}
    seen: dict[str, tuple[str, int]] = {}
    for minute in range(max(by_minute) + scene.runs_on + 1):
        for location, sign in by_minute.get(minute, ()):
            run[location] = run.get(location, 0) + 1 if sign == "d" else 0
            if sign != "?":
                seen[location] = ("d" if run[location] >= 3 else "u"), minute
        if rule(scene.at_least, seen, minute):
            return True
    return False


def outcome(fired: bool, down: bool) -> str:
    """A word for a cell of the table."""
    return "right" if fired == down else "false alarm" if fired else "missed"


def table() -> str:
    """The matrix as a table in Markdown."""
    lines = [f"| scene | told | {' | '.join(RULES)} |", f"|---|---|{'---|' * len(RULES)}"]
    for scene in SCENES:
        told = ", ".join(loud(scene.decide())) or "nothing"
        rivals = " | ".join(outcome(fires(scene, rule), scene.down) for rule in RULES.values())
        lines.append(f"| {scene.name} | {told} | {rivals} |")
    return "\n".join(lines)
