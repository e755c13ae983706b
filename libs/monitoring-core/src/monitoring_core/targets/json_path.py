"""JSON paths (RFC 9535) for the body of a website's answer, in a bounded number of steps.

Whoever writes a path or answers may be hostile: a few characters can ask for more values than a body has bytes.
So each value that is looked at is a step, and what cannot be counted in steps is refused when a path is compiled.
"""

from __future__ import annotations

import contextlib
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError
from jsonpath_rfc9535.exceptions import JSONPathRecursionError, JSONPathSyntaxError
from jsonpath_rfc9535.filter_expressions import (
    ComparisonExpression,
    FilterExpression,
    FilterExpressionLiteral,
    FunctionExtension,
    StringLiteral,
)
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction
from jsonpath_rfc9535.parse import Parser
from jsonpath_rfc9535.segments import JSONPathChildSegment, JSONPathRecursiveDescentSegment
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector

from monitoring_core.targets.regexp import compile_regexp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jsonpath_rfc9535 import JSONPathNode, JSONPathQuery
    from jsonpath_rfc9535.filter_expressions import Expression, FilterContext
    from jsonpath_rfc9535.segments import JSONPathSegment
    from jsonpath_rfc9535.selectors import FilterSelector, JSONPathSelector
    from jsonpath_rfc9535.tokens import TokenStream

MAX_JSON_PATH_LENGTH = 250
# So many characters of a filter take about as long as a step, and of a text in which a regular expression is searched.
_FILTER_A_STEP = 8
_TEXT_A_STEP = 200


class TooManyStepsError(Exception):
    """A path looks at more values than it may."""


class _Steps(threading.local):
    left = 0

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooManyStepsError


_steps = _Steps()


@contextlib.contextmanager
def limited_to(steps: int) -> Iterator[None]:
    """All paths that this thread follows in the block look at no more than so many values.

    Raises:
        TooManyStepsError: one of them does.
    """
    _steps.left = steps
    yield


def compile_json_path(text: str) -> JSONPathQuery:
    """Compile a path for `values_at`.

    Raises:
        ValueError: it is none, or is one whose time depends on more than the number of values.
    """
    if len(text) > MAX_JSON_PATH_LENGTH:
        raise ValueError(f"is longer than {MAX_JSON_PATH_LENGTH} characters")
    if not text.isprintable():
        raise ValueError("holds a character that is written as an escape (\\uXXXX) in a path")
    try:
        return _environment.compile(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except (JSONPathError, ArithmeticError, ValueError, IndexError, AssertionError) as error:
        problem = error.args[0] if error.args else type(error).__name__
        raise ValueError(f"is not a JSON path (RFC 9535) that is taken: {problem}") from None


@lru_cache(maxsize=1024)
def json_path_problem(text: str) -> str | None:
    """Why a path is refused, or None. Cached, because many targets share a path."""
    try:
        compile_json_path(text)
    except ValueError as error:
        return str(error)
    return None


def values_at(path: JSONPathQuery, document: Any) -> Iterator[Any]:
    """The values in a document that a path leads to, in its order.

    Raises:
        TooManyStepsError: the steps of `limited_to` are used up.
        RecursionError: the document is nested too deeply.
    """
    try:
        for node in path.finditer(document):
            yield node.value
    except JSONPathRecursionError as error:
        raise RecursionError(*error.args) from None


def _counted(nodes: Iterable[JSONPathNode], selectors: Sequence[JSONPathSelector], more: int) -> Iterator[JSONPathNode]:
    """The nodes, each with the steps of its selectors: one by name or index takes one, another one looks at all values.

    Args:
        more: how often all values are looked at besides.
    """
    times = more + sum(not isinstance(selector, NameSelector | IndexSelector) for selector in selectors)
    for node in nodes:
        size = len(node.value) if isinstance(node.value, dict | list) else 0
        _steps.spend(len(selectors) + times * size)
        yield node


class _Children(JSONPathChildSegment):
    def resolve(self, nodes: Iterable[JSONPathNode]) -> Iterable[JSONPathNode]:
        return super().resolve(_counted(nodes, self.selectors, 0))


class _Descendants(JSONPathRecursiveDescentSegment):
    def resolve(self, nodes: Iterable[JSONPathNode]) -> Iterable[JSONPathNode]:
        for node in nodes:
            for visited in _counted(self._visit(node), self.selectors, 1):
                for selector in self.selectors:
                    yield from selector.resolve(visited)


class _Condition(FilterExpression):
    """The condition of a filter, which takes steps for its length."""

    def __init__(self, condition: FilterExpression) -> None:
        super().__init__(condition.token, condition.expression)
        self._steps = 1 + len(str(condition)) // _FILTER_A_STEP

    def evaluate(self, context: FilterContext) -> bool:
        _steps.spend(self._steps)
        return super().evaluate(context)


class _Parser(Parser):
    """Refuses what cannot be counted: a comparison of two places, and looking from a place at the whole document."""

    def parse_query(self, stream: TokenStream, *, in_filter: bool = False) -> Iterable[JSONPathSegment]:
        for segment in super().parse_query(stream, in_filter=in_filter):
            kind = _Descendants if isinstance(segment, JSONPathRecursiveDescentSegment) else _Children
            yield kind(env=self.env, token=segment.token, selectors=segment.selectors)

    def parse_filter_selector(self, stream: TokenStream) -> FilterSelector:
        selector = super().parse_filter_selector(stream)
        selector.expression = _Condition(selector.expression)
        return selector

    def parse_root_query(self, stream: TokenStream) -> Expression:
        raise JSONPathSyntaxError("a filter looks at @ alone, not at $", token=stream.current)

    def parse_infix_expression(self, stream: TokenStream, left: Expression) -> Expression:
        found = super().parse_infix_expression(stream, left)
        if isinstance(found, ComparisonExpression) and not any(
            isinstance(side, FilterExpressionLiteral) for side in (found.left, found.right)
        ):
            raise JSONPathSyntaxError("a filter compares with a literal alone", token=found.token)
        return found

    def parse_function_extension(self, stream: TokenStream) -> Expression:
        found = super().parse_function_extension(stream)
        if isinstance(found, FunctionExtension) and isinstance(_functions.get(found.name), _Regexp):
            pattern = found.args[1]
            if not isinstance(pattern, StringLiteral):
                raise JSONPathSyntaxError(f"{found.name}() takes a literal pattern alone", token=found.token)
            _compiled(pattern.value)
        return found


class _Regexp(FilterFunction):
    """The functions match and search, in the syntax of RE2: the library's own may take for ever."""

    arg_types: ClassVar = [ExpressionType.VALUE, ExpressionType.VALUE]
    return_type = ExpressionType.LOGICAL

    def __init__(self, whole: bool) -> None:
        self._whole = whole

    def __call__(self, value: object, pattern: str) -> bool:
        if not isinstance(value, str):
            return False
        _steps.spend(len(value) // _TEXT_A_STEP)
        regexp, text = _compiled(pattern), value.encode(errors="replace")
        return (regexp.fullmatch(text) if self._whole else regexp.search(text)) is not None


_compiled = lru_cache(maxsize=1024)(compile_regexp)
_functions: dict[str, FilterFunction] = {"match": _Regexp(whole=True), "search": _Regexp(whole=False)}


class _Environment(JSONPathEnvironment):
    parser_class = _Parser

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions |= _functions


_environment = _Environment()
