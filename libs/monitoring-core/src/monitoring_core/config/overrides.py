"""Settings from the environment and the command line, which replace those of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import attrs

from monitoring_core.config.document import DocumentError, parse_document
from monitoring_core.config.faults import VARIABLE_PREFIX
from monitoring_core.config.sections import holds_secret, holds_text
from monitoring_core.config.values.secrets import Secret

# Tells a reference from a secret: an environment variable may hold either.
_REFERENCE = re.compile(r"\{ *(file|env) *: [^{}]+\}")


@attrs.frozen
class Override:
    """A setting from outside the file.

    Attributes:
        place: where a person finds it: `env MONITORING__KAFKA__TOPIC_NAME`, `--set kafka.topic_name`.
        section: the section that it names, known or not.
        key: the setting that it names, known or not; empty when it names only a section.
        text: its value as it is written there.
    """

    place: str
    section: str
    key: str
    text: str = attrs.field(repr=False)

    @property
    def _may_be_the_secret_itself(self) -> bool:
        """The environment may hold a secret, but not the command line, which every user of the machine sees."""
        return self.place.startswith("env ") and holds_secret(self.section, self.key)

    def value(self) -> object:
        """The value as plain data, or a Secret when it is the secret itself. The section must be a known one.

        Raises:
            DocumentError: the text cannot be read as a value.
        """
        if self._may_be_the_secret_itself and not _REFERENCE.fullmatch(self.text):
            if not self.text:
                raise DocumentError(1, "must not be empty")
            return Secret(self.text, self.place)
        # Python decodes bytes that are not UTF-8 as lone surrogates, in variables and arguments alike (PEP 383).
        if any("\ud800" <= c <= "\udfff" for c in self.text):
            raise DocumentError(1, "is not valid Unicode")
        if holds_text(self.section, self.key) and not self.text.startswith("{"):
            return self.text
        return parse_document(f"value: {self.text}").data.get("value")


def from_environment(environ: Mapping[str, str]) -> Iterator[Override]:
    """The variables MONITORING__SECTION__KEY, sorted by name."""
    for name in sorted(environ):
        if name.startswith(VARIABLE_PREFIX):
            section, _, key = name.removeprefix(VARIABLE_PREFIX).lower().partition("__")
            yield Override(f"env {name}", section, key, environ[name])


def from_option(setting: str) -> Override | None:
    """The override of one option `--set section.key=value`; None when `setting` is not of this form."""
    name, equals, value = setting.partition("=")
    section, _, key = name.strip().partition(".")
    return Override(f"--set {name.strip()}", section, key, value) if equals else None
