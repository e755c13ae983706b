"""Load the configuration: the file, overridden by the environment, then by the command line; all faults at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from monitoring_core.config.converter import Sourced
from monitoring_core.config.document import Document, DocumentError, read_document
from monitoring_core.config.faults import ConfigError, Fault, Section, suggestion
from monitoring_core.config.metrics import MetricsConfig
from monitoring_core.config.overrides import Override, from_environment, from_option
from monitoring_core.config.roles import Role
from monitoring_core.config.sections import SECTIONS, Config, holds_secret
from monitoring_core.config.structure import structure
from monitoring_core.config.values.sources import SecretSources

CONFIG_VARIABLE = "MONITORING_CONFIG"
DEFAULT_PATH = Path("/etc/monitoring/config.yaml")


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
        role: the role to connect to PostgreSQL as. When the section `roles` has an account for it, `database` gets the
            user and the password of that account, and the password of the section `database` is not looked up. A
            `database.user` in the environment or in `settings` takes precedence over the account.
        kubernetes: reads secrets from Kubernetes; see SecretSources.

    Raises:
        ConfigError: anything is wrong, with every fault found. Nothing else is ever raised.
    """
    path = path or _named(environ)
    return _Loading(path, SecretSources(environ, path.parent, kubernetes)).load(settings, role)


def load_metrics(path: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> MetricsConfig:
    """The section `metrics` alone, for whoever asks a service how it is and has none of its secrets.

    Raises:
        ConfigError: as `load_config`, but the settings of other sections are not judged.
    """
    path = path or _named(environ)
    return _Loading(path, SecretSources(environ, path.parent)).load_metrics()


@attrs.frozen
class Setting:
    """A setting as it is in effect.

    Attributes:
        path: dotted, like `database.port`.
        value: a Secret shows itself as where it came from alone.
        origin: where a person finds it, as in Fault; None for a default.
    """

    path: str
    value: object
    origin: str | None


def load_settings(
    path: Path | None = None,
    *,
    settings: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    role: Role | None = None,
    kubernetes: Callable[[str, str, str], str] | None = None,
) -> list[Setting]:
    """Every setting of the configuration that `load_config` would return, and where each comes from.

    Raises:
        ConfigError: as `load_config`.
    """
    path = path or _named(environ)
    loading = _Loading(path, SecretSources(environ, path.parent, kubernetes))
    config = loading.load(settings, role)
    return [
        Setting(f"{section}.{name}", getattr(getattr(config, section), name), loading.origin(f"{section}.{name}"))
        for section, kind in SECTIONS.items()
        for name in attrs.fields_dict(kind)
    ]


def _named(environ: Mapping[str, str]) -> Path:
    if name := environ.get(CONFIG_VARIABLE):
        return Path(name)
    if not DEFAULT_PATH.exists():
        said = f"is missing; name another with --config or in {CONFIG_VARIABLE}"
        raise ConfigError([Fault(str(DEFAULT_PATH), "", said)])
    return DEFAULT_PATH


class _Loading:
    """One load: the data as it is gathered, the place of every setting, and the faults so far."""

    def __init__(self, path: Path, sources: SecretSources) -> None:
        self._path = path
        self._sources = sources
        self._document = Document({}, {})
        self._data: dict[str, dict[str, object]] = {name: {} for name in SECTIONS}
        self._places: dict[str, str] = {}
        # Settings of `database` -> the settings of `roles` that their values come from.
        self._aliases: dict[str, str] = {}
        self._faults: list[Fault] = []

    def load(self, settings: Sequence[str], role: Role | None) -> Config:
        self._gather()
        for setting in settings:
            if option := from_option(setting):
                self._replace(option)
            else:
                self._fault(f"--set {setting[:80]}", "", "must be section.key=value")
        if role:
            self._use_account(role)
        loaded = {name: self._section(name) for name in SECTIONS}
        self._raise_faults()
        return Config(**cast("dict[str, Any]", loaded))  # each is of the class that SECTIONS names

    def load_metrics(self) -> MetricsConfig:
        self._gather()
        metrics = self._section("metrics")
        self._raise_faults()
        return cast("MetricsConfig", metrics)

    def _raise_faults(self) -> None:
        if self._faults:
            raise ConfigError(sorted(self._faults, key=_order))

    def origin(self, path: str) -> str | None:
        """Where a setting was set; None when it has its default."""
        source = self._aliases.get(path, path)
        if source not in self._places and source not in self._document.lines:
            return None
        return self._place(source) if source == path else f"{self._place(source)} {source}"

    def _gather(self) -> None:
        """Read the file and the environment."""
        self._document = read_document(self._path)
        self._use_sections_of_the_file()
        for override in from_environment(self._sources.environ):
            self._replace(override)

    def _use_sections_of_the_file(self) -> None:
        for name, content in self._document.data.items():
            if name not in SECTIONS:
                self._fault(self._place(name), name, f"no such section{suggestion(name, SECTIONS)}")
            elif isinstance(content, dict):
                self._data[name] = dict(content)
            elif content is not None:
                self._fault(self._place(name), name, "must be a section with settings")

    def _replace(self, override: Override) -> None:
        section, key = override.section, override.key
        if section not in SECTIONS:
            self._fault(override.place, "", f"no such section{suggestion(section, SECTIONS)}")
            return
        if not key:
            self._fault(override.place, "", f"names the section {section}, but none of its settings")
            return
        self._places[f"{section}.{key}"] = override.place
        try:
            self._data[section][key] = override.value()
        except DocumentError as error:
            self._fault(override.place, f"{section}.{key}", error.message)

    def _use_account(self, role: Role) -> None:
        """Give `database` the user and the password of the role, if the role has an account."""
        roles, database = self._data["roles"], self._data["database"]
        user = roles.get(f"{role}_user")
        if not user or not isinstance(user, str) or "database.user" in self._places:
            return
        for key in ("user", "password"):
            database.pop(key, None)
            self._aliases[f"database.{key}"] = f"roles.{role}_{key}"
            if (value := roles.get(f"{role}_{key}")) is not None:
                database[key] = value

    def _section(self, name: str) -> Section | None:
        """The section, or None when settings without a default are faulty; adds all its faults to `_faults`."""
        section, faults = structure(self._sourced(name), SECTIONS[name])
        for key, message in faults:
            path = self._aliases.get(f"{name}.{key}", f"{name}.{key}")
            fault = Fault(self._place(path, path.partition(".")[0]), path, message)
            if fault not in self._faults:
                self._faults.append(fault)
        if section is None:
            return None
        faulty = {key for key, _ in faults}
        for rule in section.broken_rules():
            if faulty.isdisjoint(rule.keys):
                paths = [f"{name}.{key}" for key in rule.keys]
                self._fault(self._place(*paths, name), paths[0], rule.message)
        return section

    def _sourced(self, name: str) -> dict[str, object]:
        """The plain data of a section, with the sources of its secrets."""
        return {
            key: Sourced(value, self._sources, self._place(f"{name}.{key}"), f"{name}.{key}")
            if value is not None and holds_secret(name, key)
            else value
            for key, value in self._data[name].items()
        }

    def _place(self, *paths: str) -> str:
        """The place of the first of `paths` that the user has set; the file when none is set."""
        for path in paths:
            if path in self._places:
                return self._places[path]
            if path in self._document.lines:
                return f"{self._path}:{self._document.lines[path]}"
        return str(self._path)

    def _fault(self, place: str, path: str, message: str) -> None:
        self._faults.append(Fault(place, path, message))


def _order(fault: Fault) -> tuple[int, str]:
    """Sort by line of the file; faults without a line come first."""
    _, _, line = fault.place.rpartition(":")
    return (int(line) if line.isdecimal() else 0, fault.path)
