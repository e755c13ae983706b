"""Secrets read through the API of Kubernetes, with the current context or with the account of the pod."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote

from dbadmin.kubernetes_api import NO_CLIENT, KubernetesApi, KubernetesError

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
            raise ValueError(data if data == NO_CLIENT else f"{what} cannot be read: {data}")
        if key not in data:
            raise ValueError(f"{what} has no key {key}; it has {', '.join(sorted(data)[:20]) or 'none'}")
        try:
            return base64.b64decode(data[key], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError(f"the key {key} of {what} is not text") from None


def _read(namespace: str, name: str) -> dict[str, str] | str:
    """The data of a secret, or why it cannot be read."""
    try:
        secret = KubernetesApi().get(f"/api/v1/namespaces/{quote(namespace, '')}/secrets/{quote(name, '')}")
    except KubernetesError as error:
        return _MEANINGS.get(error.status or 0, str(error))
    return dict(secret.get("data") or {})
