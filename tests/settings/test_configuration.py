"""How flags, environment, file and defaults become one configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.configuration import found, load
from waitroom.domain.room import Room
from waitroom.errors import ConfigurationError
from waitroom.settings import FLAGS, ROWS, Resolved

BACKEND = "http://127.0.0.1:9000"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "w.toml") -> Path:
    Path(name).write_text(text, "utf-8")
    return Path(name)


def resolved(text: str = "", environ: dict[str, str] | None = None, **flags: str) -> Resolved:
    return load(written(text) if text else None, {"backend": BACKEND} | flags, environ or {})


def mistakes(text: str = "", environ: dict[str, str] | None = None, **flags: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        resolved(text, environ, **flags)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_backend_alone_is_enough() -> None:
    settings = resolved().settings
    assert settings.gateway.backend == BACKEND
    assert settings.rooms == (Room(name="default", match=("/*",)),)


def test_flag_beats_environment_beats_file_beats_default() -> None:
    text = "[gateway]\nport = 1\nworkers = 2\npool_size = 3\n"
    environ = {"WAITROOM_GATEWAY__PORT": "11", "WAITROOM_GATEWAY__WORKERS": "12"}
    found_now = resolved(text, environ, port="21")
    gateway = found_now.settings.gateway
    assert (gateway.port, gateway.workers, gateway.pool_size, gateway.host) == (21, 12, 3, "127.0.0.1")
    assert {name: found_now.sources[f"gateway.{name}"] for name in ("port", "workers", "pool_size", "host")} == {
        "port": "flag --port",
        "workers": "environment WAITROOM_GATEWAY__WORKERS",
        "pool_size": "w.toml:4",
        "host": "default",
    }


def test_every_setting_has_a_source() -> None:
    room = {f"rooms.default.{key}" for key in Room.model_fields}
    assert set(resolved().sources) == set(ROWS) | room


@pytest.mark.parametrize("parameter", FLAGS)
def test_every_flag_sets_its_setting(parameter: str) -> None:
    text = {"port": "1", "admin_port": "2", "workers": "3", "store": "redis://h", "backend": "http://b"}.get(
        parameter, "x"
    )
    assert load(None, {"backend": BACKEND, parameter: text}, {}).sources[
        FLAGS[parameter]
    ] == "flag --" + parameter.replace("_", "-")


def test_flags_may_come_as_what_they_mean() -> None:
    settings = load(None, {"backend": BACKEND, "port": 0, "data": Path("d"), "rate": 5, "host": None}, {}).settings
    assert (settings.gateway.port, settings.data, settings.rooms[0].rate) == (0, Path("d"), 5)


def test_waitroom_toml_of_the_working_directory_is_found() -> None:
    assert found(None) is None
    written(f'[gateway]\nbackend = "{BACKEND}"\n', "waitroom.toml")
    assert load(None, {}, {}).path == Path("waitroom.toml")
    assert found(Path("other.toml")) == Path("other.toml")


def test_the_example_in_the_documentation_is_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    assert load(written(example), {}, {}).settings.rooms[0].capacity == 2000


# -- environment -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("WAITROOM_DATA", "/d", "data", "/d"),
        (
            "WAITROOM_GATEWAY__TRUSTED_PROXIES",
            "10.0.0.0/8, ::1,",
            "gateway.trusted_proxies",
            "('10.0.0.0/8', '::1/128')",
        ),
        ("WAITROOM_GATEWAY__BODY_LIMIT", "none", "gateway.body_limit", "None"),
        ("WAITROOM_GATEWAY__BODY_LIMIT", "10MB", "gateway.body_limit", "10000000"),
        ("WAITROOM_GATEWAY__BODY_LIMIT", "1000", "gateway.body_limit", "1000"),
        ("WAITROOM_GATEWAY__READ_TIMEOUT_SECONDS", "2.5", "gateway.read_timeout_seconds", "2.5"),
        ("WAITROOM_GATEWAY__HOST_HEADER", "5", "gateway.host_header", "5"),
        ("WAITROOM_STORE__URL", "unix:///run/store.sock", "store.url", "unix:///run/store.sock"),
        ("WAITROOM_STORE__URL", "rediss://u:p@h:1/0", "store.url", "rediss://u:p@h:1/0"),
        ("WAITROOM_LOG__LEVEL", "error", "log.level", "error"),
    ],
)
def test_variables_are_read_as_their_setting_needs(variable: str, text: str, setting: str, value: str) -> None:
    now: object = resolved(environ={variable: text}).settings
    for part in setting.split("."):
        now = getattr(now, part)
    assert str(tuple(map(str, now)) if isinstance(now, tuple) else now) == value


def test_an_empty_variable_is_not_set() -> None:
    assert resolved(environ={"WAITROOM_GATEWAY__PORT": "", "WAITROOM_RATE": ""}).settings.gateway.port == 8080


def test_what_an_orchestrator_sets_for_a_service_is_not_ours() -> None:
    resolved(environ={"WAITROOM_PORT": "tcp://10.0.0.1:80", "WAITROOM_SERVICE_HOST": "10.0.0.1", "PORT": "1"})


def test_an_unknown_variable_is_told_with_the_one_it_was_meant_to_be() -> None:
    assert mistakes(environ={"WAITROOM_GATEWAY__BACKENT": BACKEND, "WAITROOM_X__Y": "1"}) == [
        "environment WAITROOM_GATEWAY__BACKENT: is no setting (did you mean `WAITROOM_GATEWAY__BACKEND`?)",
        "environment WAITROOM_X__Y: is no setting",
    ]


def test_text_that_is_no_number_is_told_with_its_variable_or_flag() -> None:
    assert mistakes(
        environ={"WAITROOM_GATEWAY__PORT": "http", "WAITROOM_CAPACITY": "2.5"}, workers="1e9", rate="\udcff"
    ) == [
        (
            "environment WAITROOM_CAPACITY: room 'default': capacity: cannot be 2.5 "
            '(a whole number from 0 to 10000000 or "none")'
        ),
        "environment WAITROOM_GATEWAY__PORT: gateway.port: cannot be 'http' (a whole number from 0 to 65535)",
        "flag --rate: room 'default': rate: cannot be '?' (a whole number from 0 to 10000000 or \"none\")",
        "flag --workers: gateway.workers: cannot be 1000000000.0 (a whole number from 1 to 256)",
    ]


# -- secrets -----------------------------------------------------------------------------------------------


def test_secrets_are_read_from_the_files_that_variables_name() -> None:
    written("a-token-of-sixteen-or-more\n", "token")
    written("redis://h:1\n", "url")
    written(f"{KEY}\n", "keys")
    environ = {
        "WAITROOM_ADMIN__TOKEN_FILE": "token",
        "WAITROOM_STORE__URL_FILE": "url",
        "WAITROOM_KEYS__SIGNING_FILE": "keys",
    }
    now = resolved(environ=environ)
    assert now.settings.admin.token is not None
    assert now.settings.admin.token.get_secret_value() == "a-token-of-sixteen-or-more"
    assert now.settings.store.url == "redis://h:1"
    assert [key.get_secret_value() for key in now.settings.keys.signing] == [KEY]
    assert now.sources["admin.token"] == "environment WAITROOM_ADMIN__TOKEN_FILE"
    assert now.sources["keys.signing"] == "keys (environment WAITROOM_KEYS__SIGNING_FILE)"


def test_a_secret_and_its_file_are_a_mistake() -> None:
    environ = {"WAITROOM_ADMIN__TOKEN": "a-token-of-sixteen-or-more", "WAITROOM_ADMIN__TOKEN_FILE": "x"}
    assert mistakes(environ=environ) == [
        "environment WAITROOM_ADMIN__TOKEN_FILE: is set, and so is WAITROOM_ADMIN__TOKEN (set one of the two)"
    ]


def test_a_secret_file_that_cannot_be_read_is_told() -> None:
    written("short", "token")
    environ = {"WAITROOM_ADMIN__TOKEN_FILE": "token", "WAITROOM_STORE__URL_FILE": "none-here"}
    assert mistakes(environ=environ) == [
        "environment WAITROOM_ADMIN__TOKEN_FILE: admin.token: has 5 characters (at least 16)",
        "environment WAITROOM_STORE__URL_FILE: the file none-here cannot be read: No such file or directory",
    ]


def test_keys_from_the_environment_are_a_list_and_never_repeated() -> None:
    now = resolved(environ={"WAITROOM_KEYS__SIGNING": f"{KEY},{KEY[::-1]}"})
    assert len(now.settings.keys.signing) == 2
    assert mistakes(environ={"WAITROOM_KEYS__SIGNING": f"{KEY},hush"}) == [
        (
            "environment WAITROOM_KEYS__SIGNING: keys.signing, entry 2: "
            "a signing key has at least 32 characters, this one has 4"
        )
    ]


# -- the only room -----------------------------------------------------------------------------------------


def test_rate_and_capacity_set_the_limits_of_the_only_room() -> None:
    now = resolved('[[rooms]]\nname = "shop"\nrate = 1\n', {"WAITROOM_CAPACITY": "none"}, rate="600")
    assert (now.settings.rooms[0].rate, now.settings.rooms[0].capacity) == (600, None)
    assert now.sources["rooms.shop.rate"] == "flag --rate"
    assert now.sources["rooms.shop.capacity"] == "environment WAITROOM_CAPACITY"


def test_rate_and_capacity_of_several_rooms_are_a_mistake() -> None:
    rooms = '[[rooms]]\nname = "a"\n[[rooms]]\nname = "b"\nmatch = ["/b*"]\n'
    assert mistakes(rooms, {"WAITROOM_RATE": "5"}, capacity="6") == [
        "environment WAITROOM_RATE: does not say for which of the 2 rooms (set `rate` under [[rooms]])",
        "flag --capacity: does not say for which of the 2 rooms (set `capacity` under [[rooms]])",
    ]


# -- files that are no files -------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"^gone\.toml: cannot be read: No such file or directory$"):
        load(Path("gone.toml"), {}, {})
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load(Path(), {}, {})


def test_a_file_that_is_nested_without_end_is_told() -> None:
    assert mistakes("a = " + "[" * 100_000) == ["w.toml: is nested too deeply to be read"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-2, 70_000) | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from([*ROWS, *(f"rooms.{key}" for key in Room.model_fields), "gateway", "rooms", "keys"]),
)
def test_no_value_anywhere_is_more_than_a_mistake(value: object, name: str) -> None:
    section, _, key = name.rpartition(".")
    if section == "rooms":
        line = f"[[rooms]]\n{key} = {toml(value)}\n"
    else:
        line = (f"[{section}]\n" if section else "") + f"{key} = {toml(value)}\n"
    try:
        resolved(line)
    except ConfigurationError as error:
        assert error.mistakes  # noqa: PT017  # a value may also be right


def toml(value: object) -> str:
    """Write a value as TOML, which has no null."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return (
            '"'
            + "".join(f"\\U{ord(character):08X}" for character in value if not 0xD800 <= ord(character) < 0xE000)
            + '"'
        )
    return "2020-01-01" if value is None else str(value).lower()


def test_the_error_reads_as_its_mistakes_one_a_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolved(store="nonsense", port="-1")
    assert str(caught.value) == "\n".join(str(mistake) for mistake in caught.value.mistakes)
    assert len(caught.value.mistakes) == 2
