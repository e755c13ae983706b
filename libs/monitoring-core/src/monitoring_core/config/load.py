"""Loading: one file, then the environment, then the command line; all faults at once."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs
import cattrs
from cattrs.errors import BaseValidationError, ClassValidationError, ForbiddenExtraKeysError

from monitoring_core.config.consumer import ConsumerConfig
from monitoring_core.config.database import DatabaseConfig
from monitoring_core.config.document import MAX_BYTES, Document, DocumentError, parse_document
from monitoring_core.config.faults import ConfigError, Fault
from monitoring_core.config.kafka import KafkaConfig
from monitoring_core.config.logging import LoggingConfig
from monitoring_core.config.metrics import MetricsConfig
from monitoring_core.config.monitor import MonitorConfig
from monitoring_core.config.roles import Role, RolesConfig
from monitoring_core.config.values import Secret, SecretReference, SecretSources, make_converter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CONFIG_VARIABLE = "MONITORING_CONFIG"
DEFAULT_PATH = Path("/etc/monitoring/config.yaml")
_PREFIX = "MONITORING__"
# In the environment, where a secret may also stand as it is.
_REFERENCE = re.compile(r"\{ *(file|env) *: [^{}]+\}")


@attrs.frozen(kw_only=True)
class Config:
    """The whole configuration, valid."""

    monitor: MonitorConfig
    kafka: KafkaConfig
    database: DatabaseConfig
    consumer: ConsumerConfig
    metrics: MetricsConfig
    logging: LoggingConfig
    roles: RolesConfig = attrs.field(factory=RolesConfig)

    def database_as(self, role: Role) -> DatabaseConfig | None:
        """The connection of a role, its password looked up now; None when it has no account of its own.

        Raises:
            ConfigError: the password is not where the configuration says.
        """
        account = self.roles.account(role)
        return attrs.evolve(self.database, user=account.user, password=account.password) if account else None


_SECTIONS: dict[str, type[Any]] = {
    "monitor": MonitorConfig,
    "kafka": KafkaConfig,
    "database": DatabaseConfig,
    "consumer": ConsumerConfig,
    "metrics": MetricsConfig,
    "logging": LoggingConfig,
    "roles": RolesConfig,
}


def load_config(
    path: Path | None = None,
    *,
    settings: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    role: Role | None = None,
    kubernetes: Callable[[str, str, str], str] | None = None,
) -> Config:
    """Read the configuration.

    The file is `path`, else the one that the variable MONITORING_CONFIG names, else /etc/monitoring/config.yaml. A
    variable MONITORING__SECTION__KEY replaces a setting of the file, and a `section.key=value` of `settings` replaces
    both.

    Args:
        role: who is to connect to PostgreSQL. When the section `roles` has an account for it, `database` gets its user
            and password, and the password that stands there is not even looked for; unless the environment or
            `settings` say who `database.user` is, which is nearer.
        kubernetes: reads secrets from Kubernetes; see SecretSources.

    Raises:
        ConfigError: anything is wrong, with every fault found. Nothing else is ever raised.
    """
    path = path or Path(environ.get(CONFIG_VARIABLE) or DEFAULT_PATH)
    return _Loading(path, SecretSources(environ, path.parent, kubernetes)).load(settings, role)


class _Loading:
    """One load: the data as it is gathered, the place of every setting, and the faults so far."""

    def __init__(self, path: Path, sources: SecretSources) -> None:
        self._path = path
        self._sources = sources
        self._document = Document({}, {})
        self._places: dict[str, str] = {}
        # Settings whose value stands as another setting.
        self._aliases: dict[str, str] = {}
        self._faults: list[Fault] = []

    def load(self, settings: Sequence[str], role: Role | None) -> Config:
        self._document = _read(self._path)
        data = self._sections()
        for name in sorted(self._sources.environ):
            if name.startswith(_PREFIX):
                section, _, key = name.removeprefix(_PREFIX).lower().partition("__")
                self._replace(data, f"env {name}", section, key, self._sources.environ[name])
        for setting in settings:
            name, equals, value = setting.partition("=")
            section, _, key = name.strip().partition(".")
            if not equals:
                self._fault(f"--set {name[:80]}", "", "must be section.key=value")
                continue
            self._replace(data, f"--set {name.strip()}", section, key, value)
        if role:
            self._take_account(data, role)
        loaded = {name: self._section(name, data[name]) for name in _SECTIONS}
        if self._faults:
            raise ConfigError(sorted(self._faults, key=self._order))
        return Config(**loaded)

    def _sections(self) -> dict[str, dict[str, Any]]:
        """The file's sections, those that are not known reported and left out."""
        data: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
        for name, content in self._document.data.items():
            if name not in _SECTIONS:
                self._fault(self._place(name), name, f"no such section{_suggestion(name, _SECTIONS)}")
            elif isinstance(content, dict):
                data[name] = dict(content)
            elif content is not None:
                self._fault(self._place(name), name, "must be a section with settings")
        return data

    def _replace(self, data: dict[str, dict[str, Any]], place: str, section: str, key: str, text: str) -> None:
        if section not in _SECTIONS:
            self._fault(place, "", f"no such section{_suggestion(section, _SECTIONS)}")
            return
        if not key:
            self._fault(place, "", f"names the section {section}, but none of its settings")
            return
        self._places[f"{section}.{key}"] = place
        field = attrs.fields_dict(attrs.resolve_types(_SECTIONS[section])).get(key)
        kinds = str(field.type) if field else ""
        try:
            data[section][key] = _replacement(text, kinds, place)
        except DocumentError as error:
            self._fault(place, f"{section}.{key}", error.message)

    def _take_account(self, data: dict[str, dict[str, Any]], role: Role) -> None:
        """Let `database` have the user and the password of a role that has an account."""
        user = data["roles"].get(f"{role}_user")
        if not user or not isinstance(user, str) or "database.user" in self._places:
            return
        for key in ("user", "password"):
            data["database"].pop(key, None)
            self._aliases[f"database.{key}"] = f"roles.{role}_{key}"
            if (value := data["roles"].get(f"{role}_{key}")) is not None:
                data["database"][key] = value

    def _section(self, name: str, data: dict[str, Any]) -> Any:
        """The section, or None when it is faulty; its faults are noted."""
        kind = _SECTIONS[name]
        converter = make_converter(self._sources)
        faulty: set[str] = set()
        try:
            section = converter.structure(data, kind)
        except ClassValidationError as error:
            for key, message in _field_faults(error, kind):
                faulty.add(key)
                path = self._aliases.get(f"{name}.{key}", f"{name}.{key}")
                fault = Fault(self._place(path, path.partition(".")[0]), path, message)
                if fault not in self._faults:
                    self._faults.append(fault)
            section = _without(faulty, data, kind, converter)
        for rule in section.broken_rules() if section else ():
            if faulty.isdisjoint(rule.keys):
                paths = [f"{name}.{key}" for key in rule.keys]
                self._fault(self._place(*paths, name), paths[0], rule.message)
        return self._placed(name, section) if section else None

    def _placed(self, name: str, section: Any) -> Any:
        """The section, with its references knowing where they stand."""
        references = {
            field.name: attrs.evolve(value, place=self._place(f"{name}.{field.name}"), path=f"{name}.{field.name}")
            for field in attrs.fields(type(section))
            if isinstance(value := getattr(section, field.name), SecretReference)
        }
        return attrs.evolve(section, **references) if references else section

    def _place(self, *paths: str) -> str:
        """Where the first of the paths that is given at all is given; the file when none is."""
        for path in paths:
            if path in self._places:
                return self._places[path]
            if path in self._document.lines:
                return f"{self._path}:{self._document.lines[path]}"
        return str(self._path)

    def _fault(self, place: str, path: str, message: str) -> None:
        self._faults.append(Fault(place, path, message))

    def _order(self, fault: Fault) -> tuple[int, str]:
        _, _, line = fault.place.rpartition(":")
        return (int(line) if line.isdigit() else 0, fault.path)


def _read(path: Path) -> Document:
    """The file as a document."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError([Fault(str(path), "", f"is larger than {MAX_BYTES // 1024} KiB")])
        return parse_document(content.decode())
    except UnicodeDecodeError:
        raise ConfigError([Fault(str(path), "", "is not UTF-8 text")]) from None
    except DocumentError as error:
        raise ConfigError([Fault(f"{path}:{error.line}", "", error.message)]) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            [Fault(str(path), "", f"cannot be read: {getattr(error, 'strerror', None) or error}")]
        ) from None


def _replacement(text: str, kinds: str, place: str) -> Any:
    """A value of the environment or the command line as plain data.

    A secret may stand in the environment as it is, or as a reference, but not on the command line, which every user of
    the machine sees.
    """
    if "Secret" in kinds and place.startswith("env ") and not _REFERENCE.fullmatch(text):
        if not text:
            raise DocumentError(1, "must not be empty")
        return Secret(text, place)
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise DocumentError(1, "is not valid Unicode")  # bytes that are none, as the system hands them over
    if "str" in kinds and "tuple" not in kinds and not text.startswith("{"):
        return text
    return parse_document(f"value: {text}").data.get("value")


def _field_faults(error: BaseValidationError, kind: type[Any]) -> Iterator[tuple[str, str]]:
    """The key and the message of each fault that cattrs found in a section."""
    with_notes, without_notes = cast("ClassValidationError", error).group_exceptions()
    for fault, note in with_notes:
        yield note.name, "is required" if isinstance(fault, KeyError) else str(fault)
    for fault in without_notes:
        for key in sorted(fault.extra_fields) if isinstance(fault, ForbiddenExtraKeysError) else ():
            yield key, f"no such setting{_suggestion(key, attrs.fields_dict(kind))}"


def _without(faulty: set[str], data: dict[str, Any], kind: type[Any], converter: cattrs.Converter) -> Any:
    """The section with defaults in place of its faulty settings, so that the rest of its rules can be looked at."""
    try:
        return converter.structure({key: value for key, value in data.items() if key not in faulty}, kind)
    except ClassValidationError:
        return None


def _suggestion(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
