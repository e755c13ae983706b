"""Secrets in files that are replaced while a program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_core.config import load_config

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_core.config import DatabaseConfig


def loaded(folder: Path) -> DatabaseConfig:
    file = folder / "config.yaml"
    file.write_text("kafka: {bootstrap_servers: 'k:1'}\ndatabase: {host: h, user: u, password: {file: password}}\n")
    return load_config(file, environ={}).database


def password(config: DatabaseConfig) -> str:
    return config.connection_parameters("test")["password"]


def test_a_secret_in_a_file_is_read_for_each_connection(tmp_path: Path) -> None:
    """Also when the file is a link to a folder that is replaced, as Kubernetes does it."""
    for version in ("one", "two"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "password").write_text(f"{version}\n")
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "password").symlink_to("..data/password")
    config = loaded(tmp_path)
    assert password(config) == "one"
    (tmp_path / "..new").symlink_to("..two")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert password(config) == "two"


def test_a_secret_whose_file_is_away_or_empty_for_a_moment_is_what_it_was(tmp_path: Path) -> None:
    """A replacement is not always at once."""
    (tmp_path / "password").write_text("one")
    config = loaded(tmp_path)
    (tmp_path / "password").write_text("")
    assert password(config) == "one"
    (tmp_path / "password").unlink()
    assert password(config) == "one"
    (tmp_path / "password").write_text("two")
    assert password(config) == "two"
