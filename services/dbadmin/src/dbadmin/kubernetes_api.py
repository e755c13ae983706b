"""The API of Kubernetes, asked with a context of a person or with the account of a pod."""

from __future__ import annotations

import json
from typing import Any

_TIMEOUT_S = (5.0, 30.0)  # to connect, to answer
NO_CLIENT = "needs the client of Kubernetes: pip install 'dbadmin[kubernetes]'"


class KubernetesError(Exception):
    """There is no answer. The text continues a sentence.

    Attributes:
        status: the status code of HTTP with which the API refused; None when it was not reached.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(text)


class KubernetesApi:
    """Reads objects as plain data. It connects when it is first asked."""

    def __init__(self, context: str | None = None) -> None:
        """Args: context: one of the kubeconfig; None for the current one, or else for the account of the pod."""
        self._context = context
        self._connection: tuple[Any, str, dict[str, str]] | None = None

    def get(self, path: str) -> dict[str, Any]:
        """What the API has at a path.

        Raises:
            KubernetesError: the client is not installed, there is no cluster, or the API does not answer with 200.
        """
        try:
            from kubernetes import client, config  # an optional package, which takes half a second to load
        except ImportError:
            raise KubernetesError(NO_CLIENT) from None
        try:
            return self._get(path)
        except client.ApiException as error:
            if not error.status:  # how the client reports that TLS failed
                raise KubernetesError(f"the API cannot be reached: {_plain(error)}") from None
            raise KubernetesError(f"status {error.status} {error.reason}", error.status) from None
        except config.ConfigException as error:
            if self._context:
                raise KubernetesError(f"the context {self._context} cannot be used: {_plain(error)}") from None
            raise KubernetesError(
                "there is no cluster to ask: neither a current context (KUBECONFIG) nor the account of a pod"
            ) from None
        except Exception as error:  # from urllib3, OpenSSL, or a command that fetches credentials
            raise KubernetesError(f"the API cannot be reached: {_plain(error)}") from None

    def _get(self, path: str) -> dict[str, Any]:
        from kubernetes.client.exceptions import ApiException

        api, host, headers = self._connection = self._connection or self._connected()
        response = api.request("GET", f"{host}{path}", headers=headers, _request_timeout=_TIMEOUT_S)
        if response.status != 200:
            raise ApiException(status=response.status, reason=response.reason)
        # Older releases of the client have already read the response into `data`.
        return dict(json.loads(response.read() if response.data is None else response.data))

    def _connected(self) -> tuple[Any, str, dict[str, str]]:
        """A client, the address of the API, and the headers of each request.

        client.CoreV1Api and its like would take a second to load: they have a class for every kind of object.
        """
        from kubernetes import client, config
        from kubernetes.client.rest import RESTClientObject

        settings: Any = client.Configuration()
        settings.retries = False
        try:
            config.load_kube_config(context=self._context, client_configuration=settings)
        except config.ConfigException:
            if self._context:
                raise
            config.load_incluster_config(client_configuration=settings)
        headers = {"Accept": "application/json"}
        headers |= {auth["key"]: auth["value"] for auth in settings.auth_settings().values()}
        return RESTClientObject(settings), settings.host, headers


def _plain(error: BaseException) -> str:
    """The innermost reason, in one line."""
    while isinstance(inner := getattr(error, "reason", None), BaseException):
        error = inner
    text = inner if isinstance(inner, str) and "\n" in inner else str(error)
    return " ".join(text.splitlines()[-1].rpartition("] ")[2].split())[:200] if text else type(error).__name__
