"""The configuration: strict, every fault at once, and nothing but its own error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring_core.config import Config, ConfigError, Role, load, load_config, load_settings
from monitoring_core.config.document import DocumentError, parse_document
from monitoring_core.config.sections import SECTIONS
from monitoring_core.config.values import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD = Path(__file__).with_name("bad_configs")
EXAMPLE = Path(__file__).parents[3] / "infra" / "config" / "config.yaml"
GOOD = "kafka: {bootstrap_servers: 'k:1'}\ndatabase: {host: h, user: u}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.pem").write_text("-----BEGIN X-----\n")
    (tmp_path / "secret.txt").write_text("hunter2\n")
    return tmp_path


def faults(text: str, settings: tuple[str, ...] = (), environ: Mapping[str, str] | None = None) -> str:
    Path("config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(Path("config.yaml"), settings=settings, environ=environ or {})
    return str(caught.value)


@pytest.mark.parametrize("case", sorted(BAD.glob("*.yaml")), ids=lambda case: case.stem)
def test_a_bad_configuration_is_refused_with_this_message(case: Path, folder: Path) -> None:
    """Each file of the folder has its exact message, with file, line and path."""
    assert faults(case.read_text()) + "\n" == case.with_suffix(".expected").read_text()


def test_there_are_enough_bad_configurations() -> None:
    """The folder exists, and the test above has run on all of it."""
    assert len(list(BAD.glob("*.yaml"))) >= 40


def test_a_secret_of_the_environment_may_be_a_reference(folder: Path) -> None:
    """A container's secrets can then be files, whatever the configuration says. Any other text is the secret itself."""
    (folder / "config.yaml").write_text(GOOD)
    (folder / "mounted").write_text("from the file\n")
    environ = {"MONITORING__DATABASE__PASSWORD": "{file: mounted}", "MONITORING__DATABASE__USER": "{env: WHO}"}
    environ["WHO"] = "me"
    database = load_config(Path("config.yaml"), environ=environ).database
    assert database.password is not None
    assert isinstance(database.user, Secret)
    assert (database.password.reveal(), database.user.reveal()) == ("from the file", "me")
    for literal in ("{file", "{}", "{a: b}", "x{file: mounted}"):
        environ = {"MONITORING__DATABASE__PASSWORD": literal}
        password = load_config(Path("config.yaml"), environ=environ).database.password
        assert password is not None
        assert password.reveal() == literal


def test_the_command_line_replaces_the_environment_and_that_the_file(folder: Path) -> None:
    """The nearest setting wins; a fault names the place that it comes from."""
    Path("config.yaml").write_text(GOOD + "metrics: {port: 1}\n")
    environ = {"MONITORING__METRICS__PORT": "2", "MONITORING__DATABASE__PASSWORD": "12345"}
    config = load_config(Path("config.yaml"), environ=environ)
    assert (config.metrics.port, config.database.password and config.database.password.reveal()) == (2, "12345")
    assert load_config(Path("config.yaml"), settings=["metrics.port=3"], environ=environ).metrics.port == 3
    assert faults(GOOD, ("metrics.port=x",), {"MONITORING__LOGGING__LEVEL": "loud"}).splitlines() == [
        "env MONITORING__LOGGING__LEVEL: must be one of debug, info, warning, error, got 'loud'",
        "--set metrics.port: must be a whole number, got 'x'",
    ]


def test_a_secret_on_the_command_line_is_refused(folder: Path) -> None:
    """Every user of the machine can see command lines, so they may hold only a reference."""
    said = faults(GOOD, ("database.password=hunter2",))
    assert said == (
        "--set database.password: must be {file: PATH}, {env: NAME} or "
        "{kubernetes: {namespace, secret, key}}, never the secret itself"
    )
    Path("config.yaml").write_text(GOOD)
    config = load_config(Path("config.yaml"), settings=["database.password={file: secret.txt}"], environ={})
    assert config.database.password
    assert config.database.password.reveal() == "hunter2"


def test_a_secret_never_shows(folder: Path) -> None:
    """It is neither in the repr of the configuration nor in the text of the secret."""
    Path("config.yaml").write_text(GOOD)
    config = load_config(Path("config.yaml"), environ={"MONITORING__DATABASE__PASSWORD": "hunter2"})
    assert "hunter2" not in f"{config!r} {config.database.password}"
    assert config.database.connection_parameters("test")["password"] == "hunter2"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 300_000, b"a: " + b"[" * 5_000])
def test_a_file_that_is_no_configuration_at_all_is_refused(content: bytes, folder: Path) -> None:
    """Not text, too large, or nested without end: one plain line."""
    Path("config.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(Path("config.yaml"), environ={})
    assert str(caught.value).count("\n") == 0


def test_a_file_may_have_256_kib(folder: Path) -> None:
    """One byte more is not read: it is no configuration."""
    Path("config.yaml").write_text(GOOD + "#" * (256 * 1024 - len(GOOD)))
    load_config(Path("config.yaml"), environ={})
    said = faults(GOOD + "#" * (256 * 1024 - len(GOOD) + 1))
    assert said == "config.yaml: is larger than 256 KiB"


@pytest.mark.parametrize(("depth", "said"), [(19, "must be a whole number, got a list"), (20, "is nested too deeply")])
def test_settings_are_nested_at_most_twenty_levels_deep(folder: Path, depth: int, said: str) -> None:
    """The section is the first level; no setting needs more than four."""
    assert faults(GOOD + "metrics: {port: " + "[" * depth + "]" * depth + "}").endswith(f": {said}")


@pytest.mark.parametrize("source", ["file", "kubernetes"])
def test_a_secret_may_have_64_kib(folder: Path, source: str) -> None:
    """A secret is a password or a certificate: one that is empty or larger is a mistake."""
    content = ""

    def read(_namespace: str, _secret: str, _key: str) -> str:
        return content

    def loaded(text: str) -> Config:
        nonlocal content
        content = text
        (folder / "secret.txt").write_text(text)
        return load_config(Path("config.yaml"), environ={}, kubernetes=read)

    reference = "{file: secret.txt}" if source == "file" else "{kubernetes: {namespace: n, secret: s, key: k}}"
    Path("config.yaml").write_text(
        f"kafka: {{bootstrap_servers: 'k:1'}}\ndatabase: {{host: h, user: u, password: {reference}}}\n"
    )
    password = loaded("x" * 65_536).database.password
    assert password
    assert len(password.reveal()) == 65_536
    for text in ("x" * 65_537, "", "\n", "a\0b"):
        with pytest.raises(ConfigError, match=r"must hold 1 to 65536 bytes of text$"):
            loaded(text)


def test_a_long_value_is_cut_in_its_fault(folder: Path) -> None:
    """The line about a long value stays readable."""
    assert faults(GOOD + f"metrics: {{port: {'x' * 78}}}\n").endswith(f"got '{'x' * 78}'")
    assert faults(GOOD + f"metrics: {{port: {'x' * 79}}}\n").endswith(f"got '{'x' * 78}…")


def test_a_file_that_is_missing_is_refused_by_name(folder: Path) -> None:
    """The path that was looked for is in the message."""
    with pytest.raises(ConfigError, match=r"^nowhere\.yaml: cannot be read: No such file or directory$"):
        load_config(Path("nowhere.yaml"), environ={})


def test_without_a_file_a_person_hears_how_to_name_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the place where it is in a container there is often none."""
    monkeypatch.setattr(load, "DEFAULT_PATH", Path("etc.yaml"))
    said = r"^etc\.yaml: is missing; name another with --config or in MONITORING_CONFIG$"
    for loads in (load_config, load_settings):
        with pytest.raises(ConfigError, match=said):
            loads(environ={})
    Path("etc.yaml").write_text(GOOD)
    assert load_config(environ={}) == load_config(Path("etc.yaml"), environ={})


@settings(max_examples=300)
@given(st.text() | st.text("{}[]&*!|>%@`:-,# \n\tab1'\""), st.booleans())
def test_no_text_makes_the_reader_raise_anything_but_its_own_error(text: str, quick: bool) -> None:
    """Whatever the file holds, a person gets a line about it."""
    try:
        document = parse_document(text, quick=quick)
    except DocumentError as error:
        assert error.line >= 1
    else:
        assert isinstance(document.data, dict)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text("abc", min_size=1), _values, max_size=4), st.booleans())
def test_the_quick_way_reads_the_same(data: dict[str, object], flow: bool) -> None:
    """The values and their lines, whichever way a file is written."""
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True)
    assert read(text, quick=True) == read(text, quick=False)


def read(text: str, quick: bool) -> str:
    """What there is in a text; as a text, in which NaN is itself and true is not 1."""
    try:
        document = parse_document(text, quick=quick)
        return repr((document.data, document.lines))
    except DocumentError as error:
        return f"{error.line}: {error.message}"


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000])
@pytest.mark.parametrize("quick", [True, False])
def test_a_document_that_is_nested_without_end_is_refused(text: str, quick: bool) -> None:
    with pytest.raises(DocumentError):
        parse_document(text, quick=quick)


_settings = [(name, field.name) for name, section in SECTIONS.items() for field in attrs.fields(section)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for the examples of a module."""
    return tmp_path_factory.mktemp("config") / "config.yaml"


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(_settings), _values, max_size=8))
def test_no_values_make_the_loader_raise_anything_but_its_own_error(
    written: Path, values: dict[tuple[str, str], object]
) -> None:
    """Any value under any setting either loads or is a fault of the configuration."""
    content: dict[str, dict[str, object]] = {}
    for (section, key), value in values.items():
        content.setdefault(section, {})[key] = value
    written.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8", errors="replace")
    try:
        assert isinstance(load_config(written, environ={}), Config)
    except ConfigError as error:
        assert error.faults


def test_the_example_is_valid_and_mentions_every_setting(folder: Path) -> None:
    """infra/config/config.yaml documents every setting, and loads without a change."""
    config = load_config(EXAMPLE, environ={"DATABASE_PASSWORD": "x"})
    text = EXAMPLE.read_text()
    for section in attrs.fields(Config):
        for field in attrs.fields(type(getattr(config, section.name))):
            assert f"{field.name}:" in text, f"{section.name}.{field.name}"


ROLES = """roles:
  producer_user: p
  producer_password: {file: secret.txt}
  reader_user: r
  reader_password: {file: nowhere.txt}
  administrator_user: a
"""


def test_a_part_with_an_account_connects_with_that_and_needs_no_other_secret(folder: Path) -> None:
    """Each part starts without the password files of the others and of the database's owner."""
    file = Path("config.yaml")
    file.write_text("kafka: {bootstrap_servers: 'k:1'}\ndatabase: {host: h, user: u, password: {file: away}}\n" + ROLES)
    producer = load_config(file, environ={}, role=Role.PRODUCER).database.connection_parameters("t")
    assert (producer["user"], producer["password"]) == ("p", "hunter2")
    administrator = load_config(file, environ={}, role=Role.ADMINISTRATOR).database
    assert (administrator.user, administrator.password) == ("a", None)
    for role in (None, Role.CONSUMER):  # a role without an account is the owner
        with pytest.raises(ConfigError, match=r"^config.yaml:2 database.password: the file away cannot be read"):
            load_config(file, environ={}, role=role)
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={}, role=Role.READER)
    message = "config.yaml:7 roles.reader_password: the file nowhere.txt cannot be read: No such file or directory"
    assert str(caught.value) == message


def test_accounts_are_looked_up_when_they_are_asked_for(folder: Path) -> None:
    """All missing passwords are reported at once, each with its place; no password shows."""
    file = Path("config.yaml")
    file.write_text(GOOD + ROLES + "  consumer_user: c\n  consumer_password: {env: NOWHERE}\n")
    config = load_config(file, environ={})
    with pytest.raises(ConfigError) as caught:
        config.roles.accounts()
    assert str(caught.value).splitlines() == [
        "config.yaml:10 roles.consumer_password: the environment variable NOWHERE is not set",
        "config.yaml:7 roles.reader_password: the file nowhere.txt cannot be read: No such file or directory",
    ]
    producer = config.database_as(Role.PRODUCER)
    assert producer
    assert producer.connection_parameters("t")["password"] == "hunter2"
    assert "hunter2" not in f"{config!r} {producer!r} {config.roles.account(Role.PRODUCER)!r}"
    assert load_config(Path("config.yaml"), environ={"MONITORING__ROLES__CONSUMER_PASSWORD": "x"}).roles.account(
        Role.CONSUMER
    )


def test_a_user_that_is_named_nearer_than_the_file_is_who_connects(folder: Path) -> None:
    """The environment of a pod names the pod's own user, whatever the shared file says."""
    Path("config.yaml").write_text(GOOD + ROLES)
    environ = {"MONITORING__DATABASE__USER": "me", "MONITORING__DATABASE__PASSWORD": "mine"}
    database = load_config(Path("config.yaml"), environ=environ, role=Role.PRODUCER).database
    assert database.connection_parameters("t")["user"] == "me"
    assert database.connection_parameters("t")["password"] == "mine"


def test_certificates_reach_libpq_as_private_files_wherever_they_come_from(folder: Path) -> None:
    """libpq reads them only from files, and refuses a key that others may read, as mounted keys often are."""
    (folder / "secret.pem").chmod(0o644)
    Path("config.yaml").write_text(
        "kafka: {bootstrap_servers: 'k:1'}\ndatabase:\n  host: h\n  user: u\n  ca_certificate: {env: CA}\n"
        "  access_certificate: {file: secret.pem}\n  access_key: {env: KEY}\n"
    )
    pems = {"CA": "-----BEGIN CERTIFICATE-----\nca", "KEY": "-----BEGIN PRIVATE KEY-----\nkey"}
    parameters = load_config(Path("config.yaml"), environ=pems).database.connection_parameters("test")
    held = {name: Path(parameters[name]) for name in ("sslrootcert", "sslcert", "sslkey")}
    assert [path.read_text() for path in held.values()] == [pems["CA"], "-----BEGIN X-----", pems["KEY"]]
    assert {path.stat().st_mode & 0o777 for path in held.values()} == {0o600}
    assert parameters["sslmode"] == "verify-full"
