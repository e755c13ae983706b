"""A target as a user states it, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import attrs
import msgspec
from msgspec import Meta

from monitoring_core.errors import InvalidTargetError
from monitoring_core.result import MAX_URL_LENGTH
from monitoring_core.targets.contents import (
    MAX_BODY_LENGTH,
    MAX_HEADERS,
    METHODS,
    body_problems,
    file_name_problems,
    header_name_problems,
    header_problems,
    label_problems,
)
from monitoring_core.targets.expectations import (
    MAX_EXPECTATIONS,
    expected_header_problems,
    expected_json_problems,
    regexp_list_problems,
)
from monitoring_core.targets.place import FAMILIES, MAX_PLACE_LENGTH, parse_place
from monitoring_core.targets.regexp import MAX_REGEXP_LENGTH, regexp_problem
from monitoring_core.targets.resolved import NO_NAMES, CheckDefaults, CheckSettings, Target, shared
from monitoring_core.targets.status import StatusSet
from monitoring_core.targets.url import url_problems, without_credentials
from monitoring_core.targets.wording import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MIN_INTERVAL_S = 1
MAX_INTERVAL_S = 86_400

_ANY_URL = "http://a/"

_Regexp = Annotated[str, Meta(max_length=MAX_REGEXP_LENGTH)]
_Regexps = Annotated[list[_Regexp], Meta(max_length=MAX_EXPECTATIONS)]


@attrs.frozen(kw_only=True)
class TargetRecord:
    """A target as the user states it: a row of `availability_monitor_config`, or a line of an import file.

    None means that the configuration's default applies.
    """

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL_LENGTH)] = attrs.field(
        repr=lambda url: repr(without_credentials(url))
    )
    id: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    regexp: _Regexp | None = None
    active: bool = True
    check_interval_s: Annotated[int, Meta(ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=300)] | None = None
    method: str | None = None
    expected_status: str | None = None
    headers: dict[str, str] | None = attrs.field(default=None, repr=False)
    follow_redirects: bool | None = None
    verify_tls: bool | None = None
    labels: dict[str, str] | None = None
    body: Annotated[str, Meta(max_length=MAX_BODY_LENGTH)] | None = attrs.field(default=None, repr=False)
    forbidden_regexp: _Regexp | None = None
    connect_to: Annotated[str, Meta(min_length=1, max_length=MAX_PLACE_LENGTH)] | None = None
    address_family: str | None = None
    further_regexps: _Regexps | None = None
    further_forbidden_regexps: _Regexps | None = None
    expected_headers: dict[str, _Regexp] | None = None
    expected_json: dict[str, Any] | None = None
    degraded_above_s: Annotated[float, Meta(gt=0, le=300)] | None = None
    secret_headers: Annotated[list[str], Meta(max_length=MAX_HEADERS)] | None = None
    client_certificate: str | None = None

    @classmethod
    def parse(cls, fields: Mapping[str, Any], *, from_text: bool = False) -> TargetRecord:
        """Read a record and check everything about it that can be checked without its website.

        Args:
            fields: values by attribute name.
            from_text: values may be text, as in CSV: `60` for a number, `true` for a truth value.

        Raises:
            InvalidTargetError: with every problem found.
        """
        known = attrs.fields_dict(cls)
        problems = [f"{name}: no such field" for name in fields if name not in known]
        values = {name: value for name, value in fields.items() if name in known}
        try:
            record = msgspec.convert(values, cls, strict=not from_text)
        except msgspec.ValidationError:
            raise InvalidTargetError([*problems, *_misfits(values, strict=not from_text)]) from None
        problems += record.problems()
        if problems:
            raise InvalidTargetError(problems)
        return record

    def problems(self) -> list[str]:
        """What is wrong with the values, a sentence each, naming the field and never a secret."""
        return [f"{name}: {message}" for name, message in self._problems()]

    def _problems(self) -> Iterator[tuple[str, str]]:
        for name in ("regexp", "forbidden_regexp"):
            pattern = getattr(self, name)
            if pattern is not None and (problem := regexp_problem(pattern)):
                yield name, problem
        if self.connect_to is not None:
            try:
                parse_place(self.connect_to)
            except ValueError as error:
                yield "connect_to", str(error)
        if self.address_family is not None and self.address_family not in FAMILIES:
            yield "address_family", f"must be {' or '.join(FAMILIES)}, got {self.address_family!r}"
        yield from self._problems_of_the_check()
        for name, messages in (
            ("url", url_problems(self.url)),
            ("headers", header_problems(self.headers) if self.headers else ()),
            ("labels", label_problems(self.labels) if self.labels else ()),
            ("body", body_problems(self.body, self.method) if self.body is not None else ()),
            ("further_regexps", regexp_list_problems(self.further_regexps) if self.further_regexps else ()),
            (
                "further_forbidden_regexps",
                regexp_list_problems(self.further_forbidden_regexps) if self.further_forbidden_regexps else (),
            ),
            ("expected_headers", expected_header_problems(self.expected_headers) if self.expected_headers else ()),
            (
                "client_certificate",
                () if self.client_certificate is None else file_name_problems(self.client_certificate),
            ),
            ("secret_headers", header_name_problems(self.secret_headers) if self.secret_headers else ()),
            ("expected_json", expected_json_problems(self.expected_json) if self.expected_json else ()),
        ):
            for message in messages:
                yield name, message

    def _problems_of_the_check(self) -> Iterator[tuple[str, str]]:
        interval_s, timeout_s = self.check_interval_s, self.timeout_s
        if interval_s and timeout_s and timeout_s >= interval_s:
            yield "timeout_s", f"must be shorter than check_interval_s ({interval_s}), got {timeout_s:g}"
        degraded_s = self.degraded_above_s
        if degraded_s and timeout_s and degraded_s >= timeout_s:
            yield "degraded_above_s", f"must be shorter than timeout_s ({timeout_s:g}), got {degraded_s:g}"
        if self.method is not None and self.method not in METHODS:
            yield "method", f"must be one of {', '.join(METHODS)}, got {self.method!r}"
        if self.method == "HEAD" and self.expected_json:
            yield "expected_json", "needs a body, which no answer to HEAD has"
        if self.expected_status is not None:
            try:
                StatusSet.parse(self.expected_status)
            except ValueError as error:
                yield "expected_status", str(error)

    def resolve(self, defaults: CheckDefaults) -> Target:
        """The target that a producer checks, with the configuration's defaults filled in.

        The default timeout is shortened to nine tenths of the target's interval if it is longer than that.

        Raises:
            InvalidTargetError: the record's timeout does not fit the default interval, or it has no id.
        """
        interval_s = self.check_interval_s or defaults.interval_s
        timeout_s = self.timeout_s or min(defaults.timeout_s, 0.9 * interval_s)
        if self.id is None:
            raise InvalidTargetError(["id: is missing"])
        if timeout_s >= interval_s:
            raise InvalidTargetError(
                [f"timeout_s: must be shorter than the interval ({interval_s}), got {timeout_s:g}"]
            )
        settings = CheckSettings(
            regexps=_all(self.regexp, self.further_regexps),
            interval_s=interval_s,
            timeout_s=timeout_s,
            method=self.method or "GET",
            expected_status=StatusSet.parse(self.expected_status) if self.expected_status else defaults.expected_status,
            headers=tuple((self.headers or {}).items()),
            follow_redirects=True if self.follow_redirects is None else self.follow_redirects,
            verify_tls=True if self.verify_tls is None else self.verify_tls,
            body=None if self.body is None else self.body.encode(),
            forbidden_regexps=_all(self.forbidden_regexp, self.further_forbidden_regexps),
            connect_to=parse_place(self.connect_to) if self.connect_to else None,
            family=FAMILIES[self.address_family] if self.address_family else None,
            expected_headers=tuple((name.lower(), value) for name, value in (self.expected_headers or {}).items()),
            expected_json=tuple((self.expected_json or {}).items()),
            degraded_above_s=self.degraded_above_s,
            client_certificate=self.client_certificate,
            secret_headers=frozenset(map(str.lower, self.secret_headers)) if self.secret_headers else NO_NAMES,
        )
        return Target(id=self.id, url=self.url, settings=shared(settings))

    def unfit(self, defaults: CheckDefaults, problem: str) -> Target:
        """What stands for a target that can never be checked: it has slots, so that each ends as a row, and no URL."""
        assert self.id is not None
        settings = CheckSettings(
            interval_s=self.check_interval_s or defaults.interval_s,
            timeout_s=defaults.timeout_s,
            expected_status=defaults.expected_status,
        )
        return Target(id=self.id, url="", settings=shared(settings), problem=problem)


def _misfits(values: Mapping[str, Any], strict: bool) -> list[str]:
    """What is wrong with fields of which one at least has no value of its kind, a sentence each."""
    problems: list[str] = []
    fit: dict[str, Any] = {}
    for name in dict.fromkeys(("url", *values)):
        one = {name: values[name]} if name in values else {}
        try:
            msgspec.convert({"url": _ANY_URL} | one if name != "url" else one, TargetRecord, strict=strict)
            fit |= one
        except msgspec.ValidationError as error:
            problems.append(plain(str(error), values))
    # A body is judged by the method, and nothing can be judged without a URL.
    if "url" in fit and fit.keys() >= {"method"} & values.keys():
        problems += msgspec.convert(fit, TargetRecord, strict=strict).problems()
    return problems


def _all(first: str | None, others: list[str] | None) -> tuple[str, ...]:
    return (*(() if first is None else (first,)), *(others or ()))
