"""JSON paths: what is found, what is refused, and that no path takes long in any document."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitoring_core.targets.json_path import TooManyStepsError, compile_json_path, limited_to, values_at

STORE = {
    "status": "ok",
    "count": 3,
    "checks": [
        {"name": "db", "healthy": True, "tags": ["a", "b"]},
        {"name": "cache", "healthy": False, "tags": []},
    ],
}


def found(path: str, document: Any = STORE, steps: int = 100_000) -> list[Any]:
    with limited_to(steps):
        return list(values_at(compile_json_path(path), document))


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$", [STORE]),
        ("$.status", ["ok"]),
        ("$['count']", [3]),
        ("$.checks[0].name", ["db"]),
        ("$.checks[-1].name", ["cache"]),
        ("$.checks[*].healthy", [True, False]),
        ("$.checks[1:].name", ["cache"]),
        ("$.checks[::-1].name", ["cache", "db"]),
        ("$..name", ["db", "cache"]),
        ("$.checks[0]['name','healthy']", ["db", True]),
        ("$.checks[?@.name=='db'].healthy", [True]),
        ("$.checks[?@.healthy==false].name", ["cache"]),
        ("$.checks[?@.tags[0]].name", ["db"]),
        ("$.checks[?!@.tags[0]].name", ["cache"]),
        ("$.checks[?length(@.tags)==2 && @.healthy].name", ["db"]),
        ("$.checks[?count(@.tags[*])<1 || @.name=='x'].name", ["cache"]),
        ("$.checks[?match(@.name, 'c.*e')].name", ["cache"]),
        ("$.checks[?match(@.name, 'ach')].name", []),
        ("$.checks[?search(@.name, 'ach')].name", ["cache"]),
        ("$.checks[?search(@.healthy, 'a')]", []),
        ("$.nothing", []),
        ("$.status.more", []),
        ("$.checks[7]", []),
    ],
)
def test_a_path_leads_to_what_the_rfc_says(path: str, values: list[Any]) -> None:
    """The examples of RFC 9535 in small."""
    assert found(path) == values


NOT_TAKEN = "is not a JSON path (RFC 9535) that is taken: "
PRINTABLE = r"holds a character that is written as an escape (\uXXXX) in a path"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", NOT_TAKEN),
        ("status", NOT_TAKEN),
        ("$.", NOT_TAKEN),
        ("$[", NOT_TAKEN),
        ("$.a b", NOT_TAKEN),
        ("$[?@.a==1e999]", NOT_TAKEN),
        ("$[99999999999999999999]", NOT_TAKEN),
        ("$[?unknown(@)]", NOT_TAKEN),
        ("$[?@.a==$.b]", NOT_TAKEN + "a filter looks at @ alone, not at $"),
        ("$[?count($..*)>1]", NOT_TAKEN + "a filter looks at @ alone, not at $"),
        ("$[?@.a==@.b]", NOT_TAKEN + "a filter compares with a literal alone"),
        ("$[?match(@.a, @.b)]", NOT_TAKEN + "match() takes a literal pattern alone"),
        ("$[?search(@.a, '(?=x)')]", NOT_TAKEN + "is not a regular expression that RE2 takes: "),
        ("$.a\0", PRINTABLE),
        ("$.a\ud800", PRINTABLE),
        ("$." + "a" * 249, "is longer than 250 characters"),
    ],
)
def test_what_is_no_path_or_cannot_be_bounded_is_refused(path: str, problem: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError) as caught:
        compile_json_path(path)
    assert str(caught.value).startswith(problem)


def nested(depth: int, inner: str = "0") -> Any:
    return json.loads("[" * depth + inner + "]" * depth)


HOSTILE_PATHS = [
    "$" + "..*" * 60,
    "$" + "..[*,*,*]" * 25,
    "$" + "[*,*,*,*]" * 25,
    "$" + "..[?@" * 40 + "]" * 40,
    "$..[?" + "@==1||" * 35 + "@==2]",
    "$..[?" + "@..*||" * 35 + "@..x]",
    "$..[?" + "count(@..*)==1||" * 14 + "@.x]",
    "$..[?search(@, '(a*)*b')]",
    "$..[?length(@)>1]..[?length(@)>1]..[?length(@)>1]",
    "$[::-1][::1]..[::]",
]
HOSTILE_DOCUMENTS: list[Any] = [
    nested(90),
    [nested(90) for _ in range(200)],
    [[[[0] * 10] * 10] * 10] * 10,
    list(range(90_000)),
    {f"k{i}": i for i in range(90_000)},
    ["a" * 1_000] * 1_000,
    nested(90, json.dumps([0] * 90_000)),
    {"k" * 500_000: [0] * 90_000},
]


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=lambda path: path[:20])
def test_no_path_takes_long_in_any_document(path: str) -> None:
    """It ends, or uses its steps up, soon."""
    for document in HOSTILE_DOCUMENTS:
        began = time.process_time()
        with contextlib.suppress(TooManyStepsError, RecursionError):
            found(path, document)
        assert time.process_time() - began < 5.0  # without an end to its steps, it would be hours


def test_steps_are_those_of_all_paths_together() -> None:
    """Whoever looks for much in a document cannot divide it among paths."""
    document = list(range(600))
    path = compile_json_path("$[*]")
    with limited_to(1_000):
        assert len(list(values_at(path, document))) == 600
        with pytest.raises(TooManyStepsError):
            list(values_at(path, document))


def test_a_value_at_a_known_place_takes_a_step_for_each_part_of_its_path() -> None:
    """However much there is beside it."""
    assert found("$.a[-1].b", {"a": [0] * 90_000 + [{"b": 1}]}, steps=3) == [1]
    assert found("$..b", {"a": [0] * 90_000 + [{"b": 1}]}) == [1]


def test_what_is_nested_too_deeply_is_told_apart() -> None:
    """As the error that Python has for it."""
    with pytest.raises(RecursionError):
        found("$..*", nested(900))


@settings(max_examples=300, deadline=None)
@given(st.text("$@.*[]()?!&|<>=,:'\"\\-0159aelmnchtsu ", max_size=40).map(lambda text: f"${text}"))
@example("$[?" + "(" * 240)
@example("$[?" + "!" * 240 + "@]")
@example("$[?(((((@)))))]")
@example("$['\\u0000']")
def test_any_text_is_a_path_or_is_refused(text: str) -> None:
    """And a path finds something or nothing in any document; nothing else is raised."""
    with contextlib.suppress(ValueError):
        path = compile_json_path(text)
        with limited_to(10_000), contextlib.suppress(TooManyStepsError):
            list(values_at(path, STORE))
