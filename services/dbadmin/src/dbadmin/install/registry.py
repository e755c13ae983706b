"""A schema registry that speaks the API of Confluent's: the schemas of the messages, for those who read the topics."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from monitoring_alerting import event
from monitoring_core import codec
from monitoring_core.errors import OutageError, StopError
from monitoring_core.result import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import KafkaConfig

_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 1 << 20
_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
# Registries compare versions of drafts up to 7 alone. The schemas use nothing that is newer.
_DRAFT = {"$schema": "http://json-schema.org/draft-07/schema#"}
_NOT_FOUND, _CONFLICT = 404, 409


def register_schemas(config: KafkaConfig) -> Iterator[str]:
    """Register the schemas of the topics' values; yields one line for each. May be repeated.

    Subjects are named by topic (Confluent's TopicNameStrategy). What dead letters hold is of any kind.

    Raises:
        OutageError: the registry cannot be reached, or cannot answer now.
        StopError: the configuration names no registry, or the registry refuses.
    """
    if config.schema_registry_url is None:
        raise StopError("kafka.schema_registry_url is not set: there is no registry to tell of the schemas")
    registry = _Registry(config.schema_registry_url.rstrip("/"), _login(config))
    for topic, schema in ((config.topic_name, codec.json_schema()), (config.alert_topic_name, event.json_schema())):
        yield _register(registry, f"{topic}-value", {"schemaType": "JSON", "schema": json.dumps(schema | _DRAFT)})


def _register(registry: _Registry, subject: str, schema: dict[str, str]) -> str:
    place = f"/subjects/{quote(subject, safe='')}"
    if (known := registry.post(place, schema)) is not None:
        return f"schema {subject}: present as version {known.get('version')}"
    registry.post(f"{place}/versions", schema)
    made = registry.post(place, schema) or {}
    return f"schema {subject}: registered as version {made.get('version')}"


def _login(config: KafkaConfig) -> str | None:
    if not config.schema_registry_username or not config.schema_registry_password:
        return None
    pair = f"{config.schema_registry_username.reveal()}:{config.schema_registry_password.reveal()}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class _Refuse(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would take the password to another place."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@attrs.frozen
class _Registry:
    """A registry. Attributes: login: the value of the header Authorization, a secret."""

    url: str
    login: str | None = attrs.field(repr=False)

    def post(self, path: str, body: dict[str, str]) -> dict[str, Any] | None:
        """The answer to a request; None when what it asks for is not there."""
        headers = {"Content-Type": _CONTENT_TYPE, "Accept": f"{_CONTENT_TYPE}, application/json"}
        if self.login:
            headers["Authorization"] = self.login
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)  # noqa: S310
        try:
            with urllib.request.build_opener(_Refuse).open(request, timeout=_TIMEOUT_S) as answer:
                said = json.loads(answer.read(_MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                self._check(path, error.code, error.read(_MAX_ANSWER_BYTES))
            return None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            raise OutageError(f"schema registry at {self.url} cannot be reached: {one_line(str(why), 300)}") from None
        except ValueError:
            raise StopError(f"schema registry at {self.url} does not answer in JSON: is that its URL?") from None
        return said if isinstance(said, dict) else {}

    def _check(self, path: str, status: int, body: bytes) -> None:
        """Raise unless the answer says that the subject, or a schema in it, is not there."""
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if status == _NOT_FOUND and isinstance(said, dict) and "error_code" in said and not path.endswith("/versions"):
            return
        why = one_line(str(said.get("message", "")), 300) if isinstance(said, dict) else ""
        text = f"schema registry at {self.url} answers {status} to {path}" + (f": {why}" if why else "")
        if status == _CONFLICT:
            text += ". Messages gain fields, which readers ignore: set the compatibility of this subject to FORWARD"
        raise (OutageError if status >= http.client.INTERNAL_SERVER_ERROR else StopError)(text)
