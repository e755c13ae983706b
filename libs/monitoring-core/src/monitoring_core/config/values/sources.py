"""Where references to secrets are looked up: files, the environment and Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from monitoring_core.config.values.secrets import Secret

MAX_SECRET_BYTES = 64 * 1024
REFERENCES = "{file: PATH}, {env: NAME} or {kubernetes: {namespace, secret, key}}"


@attrs.frozen
class SecretSources:
    """Where the references of one configuration are looked up.

    Attributes:
        environ: the variables for `{env: NAME}`.
        base: the folder that a relative `{file: PATH}` starts from.
        kubernetes: reads `{kubernetes: {namespace, secret, key}}`, given these three; raises ValueError with a
            sentence. None in a program that has no client for Kubernetes.
    """

    environ: Mapping[str, str]
    base: Path
    kubernetes: Callable[[str, str, str], str] | None = None

    def finder(self, value: object) -> Callable[[], Secret]:
        """The function that looks up a secret where `value`, plain data, refers to. It raises ValueError.

        Raises:
            ValueError: `value` is neither a secret nor a reference to one.
        """
        match value:
            case Secret():
                return lambda: value
            case {"file": str(name), **rest} if not rest:
                return lambda: _from_file(self.base / name)
            case {"env": str(name), **rest} if not rest:
                return lambda: _from_environment(name, self.environ)
            case {"kubernetes": reference, **rest} if not rest:
                return self._finder_in_kubernetes(reference)
        raise ValueError(f"must be {REFERENCES}, never the secret itself")

    def _finder_in_kubernetes(self, reference: object) -> Callable[[], Secret]:
        match reference:
            case {"namespace": str(namespace), "secret": str(name), "key": str(key), **rest} if not rest:
                return lambda: _from_kubernetes(namespace, name, key, self.kubernetes)
        raise ValueError("must be {kubernetes: {namespace: NAME, secret: NAME, key: NAME}}")


def _from_kubernetes(namespace: str, name: str, key: str, read: Callable[[str, str, str], str] | None) -> Secret:
    what = f"key {key} of secret {namespace}/{name} in Kubernetes"
    if not read:
        raise ValueError(
            f"the {what} is not read by this program: let Kubernetes mount the secret, and write {{file: PATH}}"
        )
    text = read(namespace, name, key).removesuffix("\n").removesuffix("\r")
    if not text or "\0" in text or len(text) > MAX_SECRET_BYTES:
        raise ValueError(f"the {what} must hold 1 to {MAX_SECRET_BYTES} bytes of text")
    return Secret(text, f"Kubernetes {namespace}/{name}/{key}")


def _from_environment(name: str, environ: Mapping[str, str]) -> Secret:
    if not environ.get(name):
        raise ValueError(f"the environment variable {name} is not set")
    return Secret(environ[name], f"env {name}")


def _from_file(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} is not text") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"the file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not text or "\0" in text or len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"the file {path} must hold 1 to {MAX_SECRET_BYTES} bytes of text")
    return Secret(text, f"file {path}", path, lambda: _from_file(path))
