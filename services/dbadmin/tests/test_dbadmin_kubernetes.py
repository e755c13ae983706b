"""Secrets in Kubernetes, read by the official client from an API server that plays back recorded answers."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from dbadmin.kubernetes_secrets import KubernetesSecrets
from monitoring_core.config import ConfigError, load_config

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/api/v1/namespaces/{}/secrets/{}"


def status(code: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    """An error as the API server of Kubernetes 1.34 words it."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return code, body | {"message": message, "reason": reason, "code": code}


ANSWERS: dict[str, tuple[int, dict[str, Any]]] = {
    PATH.format("monitoring", "database"): (
        200,
        {
            "kind": "Secret",
            "apiVersion": "v1",
            "metadata": {
                "name": "database",
                "namespace": "monitoring",
                "uid": "0d6f0d4e-6f0c-4a8e-9a40-2ba3a9b1a9ee",
                "resourceVersion": "421",
                "creationTimestamp": "2026-03-01T10:00:00Z",
            },
            "data": {
                "password": base64.b64encode(b"hunter2\n").decode(),
                "ca.pem": base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode(),
                "binary": base64.b64encode(b"\xff\xfe").decode(),
                "empty": "",
            },
            "type": "Opaque",
        },
    ),
    PATH.format("monitoring", "nothing"): (
        200,
        {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "nothing"}},
    ),
    PATH.format("other", "database"): status(
        403,
        "Forbidden",
        'secrets "database" is forbidden: User "system:serviceaccount:monitoring:dbadmin" cannot get resource '
        '"secrets" in API group "" in the namespace "other"',
    ),
    PATH.format("monitoring", "absent"): status(404, "NotFound", 'secrets "absent" not found'),
    PATH.format("unknown", "database"): status(401, "Unauthorized", "Unauthorized"),
    PATH.format("broken", "database"): status(500, "InternalError", "etcd is away"),
}


class Api:
    """The API server, over TLS; it knows one token."""

    def __init__(self, authority: trustme.CA) -> None:
        self.asked: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.append(self.path)
                known = self.headers["Authorization"].lower() == "bearer the-token"  # in a pod the client says bearer
                code, body = ANSWERS[self.path] if known else status(401, "Unauthorized", "Unauthorized")
                content = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Api]:
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield self
        self.server.shutdown()
        thread.join()
        self.server.server_close()


def kubeconfig(path: Path, server: str, authority: trustme.CA) -> None:
    ca = base64.b64encode(authority.cert_pem.bytes()).decode()
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": ca}}],
                "users": [{"name": "u", "user": {"token": "the-token"}}],
            }
        )
    )


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def api(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The current context of this process."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    # Where the client's defaults were read when it was imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    with Api(authority).running() as server:
        kubeconfig(tmp_path / "kubeconfig", server.url, authority)
        yield server


def test_a_configuration_takes_its_secrets_from_kubernetes(api: Api, tmp_path: Path) -> None:
    """Each secret is requested once, the end of its last line is removed, and it is never shown."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "kafka: {bootstrap_servers: 'k:1'}\n"
        "database:\n"
        "  host: h\n"
        "  user: u\n"
        "  password: {kubernetes: {namespace: monitoring, secret: database, key: password}}\n"
        "  ca_certificate: {kubernetes: {namespace: monitoring, secret: database, key: ca.pem}}\n"
    )
    database = load_config(path, environ={}, kubernetes=KubernetesSecrets()).database
    parameters = database.connection_parameters("test")
    assert parameters["password"] == "hunter2"
    assert Path(parameters["sslrootcert"]).read_text() == "-----BEGIN CERTIFICATE-----"
    assert Path(parameters["sslrootcert"]).stat().st_mode & 0o777 == 0o600
    assert api.asked == [PATH.format("monitoring", "database")]
    assert "hunter2" not in repr(database)
    assert str(database.password) == "(secret from Kubernetes monitoring/database/password)"


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        (
            "monitoring database absent",
            "the secret monitoring/database in Kubernetes has no key absent; it has binary, ca.pem, empty, password",
        ),
        ("monitoring nothing key", "the secret monitoring/nothing in Kubernetes has no key key; it has none"),
        ("monitoring database binary", "the key binary of the secret monitoring/database in Kubernetes is not text"),
        ("monitoring absent key", "the secret monitoring/absent in Kubernetes cannot be read: there is no such secret"),
        (
            "other database key",
            (
                "the secret other/database in Kubernetes cannot be read: this account may not read it: give it the "
                "verb get on secrets there"
            ),
        ),
        (
            "unknown database key",
            "the secret unknown/database in Kubernetes cannot be read: Kubernetes does not know who asks: log in again",
        ),
        (
            "broken database key",
            "the secret broken/database in Kubernetes cannot be read: status 500 Internal Server Error",
        ),
    ],
)
def test_what_is_missing_or_forbidden_is_said_in_one_line(api: Api, reference: str, problem: str) -> None:
    """With the name of the secret, never with what is in it."""
    with pytest.raises(ValueError) as caught:
        KubernetesSecrets()(*reference.split())
    assert str(caught.value) == problem


def test_an_empty_key_is_refused(api: Api, tmp_path: Path) -> None:
    """It is a mistake, not an empty password; the fault has its line."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "kafka: {bootstrap_servers: 'k:1'}\ndatabase:\n  host: h\n  user: u\n"
        "  password: {kubernetes: {namespace: monitoring, secret: database, key: empty}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={}, kubernetes=KubernetesSecrets())
    assert str(caught.value) == (
        f"{path}:5 database.password: the key empty of secret monitoring/database in Kubernetes must hold 1 to 65536 "
        "bytes of text"
    )


def test_an_api_that_is_away_is_said_in_one_line(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: Api
) -> None:
    """Nothing listens, or the server's certificate is not trusted: each fails at once."""
    kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", authority)
    with pytest.raises(ValueError, match=r"cannot be read: the API cannot be reached: .*Connection refused$"):
        KubernetesSecrets()("monitoring", "database", "password")
    kubeconfig(tmp_path / "kubeconfig", api.url, trustme.CA())
    with pytest.raises(ValueError, match=r"cannot be read: the API cannot be reached: .*certificate verify failed"):
        KubernetesSecrets()("monitoring", "database", "password")
    assert api.asked == []


def test_without_a_cluster_or_without_the_client_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is an internal error."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(ValueError) as caught:
        KubernetesSecrets()("n", "s", "k")
    assert str(caught.value) == (
        "the secret n/s in Kubernetes cannot be read: there is no cluster to ask: neither a current context "
        "(KUBECONFIG) nor the account of a pod"
    )
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(ValueError) as caught:
        KubernetesSecrets()("n", "s", "k")
    assert str(caught.value) == "needs the client of Kubernetes: pip install 'dbadmin[kubernetes]'"


def test_in_a_pod_its_account_is_used(
    api: Api, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token and the CA that Kubernetes mounts, and the address in the environment."""
    (tmp_path / "kubeconfig").unlink()
    (tmp_path / "token").write_text("the-token")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", api.url.rpartition(":")[2])
    place = "kubernetes.config.incluster_config"
    monkeypatch.setattr(f"{place}.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(f"{place}.SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    assert KubernetesSecrets()("monitoring", "database", "password") == "hunter2\n"


def test_a_service_says_that_the_secret_must_be_mounted(tmp_path: Path) -> None:
    """The services have no client of Kubernetes."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "kafka: {bootstrap_servers: 'k:1'}\ndatabase:\n  host: h\n  user: u\n"
        "  password: {kubernetes: {namespace: n, secret: s, key: k}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={})
    assert str(caught.value) == (
        f"{path}:5 database.password: the key k of secret n/s in Kubernetes is not read by this program: let "
        "Kubernetes mount the secret, and write {file: PATH}"
    )
