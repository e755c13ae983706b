"""Secrets read through the API of Kubernetes, with the current context or with the account of the pod."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import quote

_TIMEOUT_S = (5.0, 10.0)  # to connect, to answer
_EXTRA = "needs the client of Kubernetes: pip install 'dbadmin[kubernetes]'"
_MEANINGS = {
    401: "Kubernetes does not know who asks: log in again",
    403: "this account may not read it: give it the verb get on secrets there",
    404: "there is no such secret",
}


class KubernetesSecrets:
    """Reads secrets, each at most once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[str, str] | str] = {}

    def __call__(self, namespace: str, name: str, key: str) -> str:
        """The text of a key.

        Raises:
            ValueError: the secret or the key cannot be read; the text continues a sentence about the setting.
        """
        if (namespace, name) not in self._known:
            self._known[namespace, name] = _read(namespace, name)
        data = self._known[namespace, name]
        what = f"the secret {namespace}/{name} in Kubernetes"
        if isinstance(data, str):
            raise ValueError(data if data == _EXTRA else f"{what} cannot be read: {data}")
        if key not in data:
            raise ValueError(f"{what} has no key {key}; it has {', '.join(sorted(data)[:20]) or 'none'}")
        try:
            return base64.b64decode(data[key], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError(f"the key {key} of {what} is not text") from None


def _read(namespace: str, name: str) -> dict[str, str] | str:
    """The data of a secret, or why it cannot be read."""
    try:
        from kubernetes import client, config  # an optional package, which takes half a second to load
    except ImportError:
        return _EXTRA
    try:
        return _request(_settings(), f"/api/v1/namespaces/{quote(namespace, '')}/secrets/{quote(name, '')}")
    except client.ApiException as error:
        if not error.status:  # how the client reports that TLS failed
            return f"the API cannot be reached: {_plain(error)}"
        return _MEANINGS.get(error.status, f"status {error.status} {error.reason}")
    except config.ConfigException:
        return "there is no cluster to ask: neither a current context (KUBECONFIG) nor the account of a pod"
    except Exception as error:  # from urllib3, OpenSSL, or a command that fetches credentials
        return f"the API cannot be reached: {_plain(error)}"


def _settings() -> Any:
    from kubernetes import client, config

    settings = client.Configuration()
    settings.retries = False
    try:
        config.load_kube_config(client_configuration=settings)
    except config.ConfigException:
        config.load_incluster_config(client_configuration=settings)
    return settings


def _request(settings: Any, path: str) -> dict[str, str]:
    """The data of a secret. client.CoreV1Api would take a second to load: it has a class for every kind of object."""
    from kubernetes.client.exceptions import ApiException
    from kubernetes.client.rest import RESTClientObject

    headers = {"Accept": "application/json"}
    headers |= {auth["key"]: auth["value"] for auth in settings.auth_settings().values()}
    api: Any = RESTClientObject(settings)
    response = api.request("GET", f"{settings.host}{path}", headers=headers, _request_timeout=_TIMEOUT_S)
    if response.status != 200:
        raise ApiException(status=response.status, reason=response.reason)
    # Older releases of the client have already read the response into `data`.
    secret = json.loads(response.read() if response.data is None else response.data)
    return dict(secret.get("data") or {})


def _plain(error: BaseException) -> str:
    """The innermost reason, in one line."""
    while isinstance(inner := getattr(error, "reason", None), BaseException):
        error = inner
    text = inner if isinstance(inner, str) and "\n" in inner else str(error)
    return " ".join(text.splitlines()[-1].rpartition("] ")[2].split())[:200] or type(error).__name__
