"""Flags, environment, file and defaults become one `Resolved`; or all that is wrong with them, at once.

A draft gathers raw values in the order of precedence, lowest first, and remembers for each where it was
written. Then the models judge the draft as a whole, and what only the whole can tell is checked last. So a
mistake always knows its line, and no mistake hides another.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from .domain.room import Room
from .errors import ConfigurationError, Mistake
from .logo import read_logo
from .mistakes import allowed, details, did_you_mean, field_at, in_words, is_list, is_moment, is_number, is_table, shown
from .settings import FLAGS, LIMIT_FLAGS, ROWS, SECRETS, SECTIONS, Resolved, Settings, flag_text
from .toml_lines import Spot, line_numbers
from .words import overrides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

FILE_NAME = "waitroom.toml"
"""Read from the working directory when no file is named."""

TOKEN_CHARACTERS = 16
"""Shortest admin token."""

_DEFAULT_ROOM = {"name": "default", "match": ["/*"]}
_SYNTAX_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")


def load(
    config: Path | None, flags: Mapping[str, Any], environ: Mapping[str, str], *, needs_backend: bool = True
) -> Resolved:
    """Resolve flag > environment > file > default; raises `ConfigurationError` with every mistake.

    `flags` has the keys of `settings.FLAGS` and `settings.LIMIT_FLAGS`; None means not given.
    """
    path = found(config)
    draft = _Draft()
    if path is not None:
        _read_file(draft, path)
        _check_shapes(draft)
    limits = _read_environment(draft, environ) | _read_flags(draft, flags)
    _place_limits(draft, limits)
    _read_signing_file(draft)
    settings = _validated(draft)
    _check_whole(draft, needs_backend=needs_backend, path=path)
    if draft.mistakes or settings is None:
        raise ConfigurationError(_in_reading_order(draft.mistakes))
    return Resolved(settings, _sources(draft, settings), path)


def found(config: Path | None) -> Path | None:
    """Return the file to read: the one given, or `waitroom.toml` of the working directory when there is one."""
    here = Path(FILE_NAME)
    return config or (here if here.is_file() else None)


@dataclass
class _Draft:
    """Raw values, where each was written, and what is wrong so far."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Spot, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    judged: set[Spot] = field(default_factory=set)
    """Spots whose mistake is told; that nothing usable stands there is no further one."""

    def get(self, section: str, key: str) -> Any:
        """The raw value, or the default."""
        return self.values.get(section, {}).get(key, ROWS[f"{section}.{key}"].field.default)

    def put(self, spot: Spot, value: Any, origin: str) -> None:
        self._around(spot)[spot[-1]] = value
        self.origins = {old: where for old, where in self.origins.items() if old[: len(spot)] != spot}
        self.origins[spot] = origin

    def drop(self, spot: Spot, what: str, allow: str) -> None:
        """Take out what cannot be judged any further, and tell why."""
        self.mistake(spot, what, allow)
        self.judged.add(spot)
        del self._around(spot)[spot[-1]]

    def mistake(self, spot: Spot, what: str, allow: str = "") -> None:
        self.mistakes.append(Mistake(self.where(spot), f"{self.label(spot)}: {what}", allow))

    def where(self, spot: Spot) -> str:
        """Where `spot` was written, or the nearest thing around it."""
        for length in range(len(spot), 0, -1):
            if origin := self.origins.get(spot[:length]):
                return origin
        return "settings"

    def label(self, spot: Spot) -> str:
        """`gateway.port`, `room 'shop': rate`, `room 2: match, entry 1`."""
        prefix = ""
        if spot[0] == "rooms" and len(spot) > 1:
            index = int(spot[1])
            name = self.room_name(index)
            prefix = f"room {name!r}" if name else f"room {index + 1}"
            spot = spot[2:]
        label = ".".join(str(part) for part in spot if isinstance(part, str))
        if spot and isinstance(spot[-1], int):
            label += f", entry {spot[-1] + 1}"
        return ": ".join(filter(None, (prefix, label)))

    def room_name(self, index: int) -> str | None:
        name = self.rooms[index].get("name")
        return name if isinstance(name, str) else None

    @property
    def rooms(self) -> list[dict[str, Any]]:
        rooms: list[dict[str, Any]] = self.values.get("rooms", [])
        return rooms

    def _around(self, spot: Spot) -> Any:
        inside: Any = self.values
        for part in spot[:-1]:
            inside = inside.setdefault(part, {}) if isinstance(part, str) else inside[part]
        return inside


# -- what was written --------------------------------------------------------------------------------------


def _read_file(draft: _Draft, path: Path) -> None:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError([Mistake(str(path), f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError([Mistake(f"{path}:{line}", "is not UTF-8 text", "save the file as UTF-8")]) from error
    try:
        draft.values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([_syntax_mistake(path, text, str(error))]) from error
    except RecursionError as error:
        raise ConfigurationError([Mistake(str(path), "is nested too deeply to be read")]) from error
    draft.origins = {spot: f"{path}:{line}" for spot, line in line_numbers(text).items()}


def _syntax_mistake(path: Path, text: str, message: str) -> Mistake:
    at = _SYNTAX_LINE.search(message)
    line = at.group(1) if at and at.group(1) else str(len(text.splitlines()) or 1)
    what = "is not TOML: " + _SYNTAX_LINE.sub("", message)
    return Mistake(f"{path}:{line}", what, 'a line is [section] or key = value, with text in quotes: key = "text"')


def _read_environment(draft: _Draft, environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Put the variables into the draft; return the limits among them, by flag, with their origin."""
    by_variable = {row.environment: row for row in ROWS.values()}
    # The file of the signing keys is a setting of its own.
    files = {f"{ROWS[name].environment}_FILE": ROWS[name] for name in SECRETS - {"keys.signing"}}
    limits: dict[str, tuple[Any, str]] = {}
    by_limit = {variable: limit for limit, variable in LIMIT_FLAGS.items()}
    for variable, text in sorted(environ.items()):
        origin = f"environment {variable}"
        if not text:
            continue
        if row := by_variable.get(variable):
            draft.put(row.path, _from_text(text, row.field), origin)
        elif limit := by_limit.get(variable):
            limits[limit] = (_from_text(text, Room.model_fields[limit]), origin)
        elif of_file := files.get(variable):
            if environ.get(of_file.environment):
                draft.mistakes.append(Mistake(origin, f"is set, and so is {of_file.environment}", "set one of the two"))
            elif (secret := _read_text(draft, Path(text), origin)) is not None:
                draft.put(of_file.path, secret.strip(), origin)
        elif variable.startswith("WAITROOM_") and "__" in variable:
            # Names without "__" may be what Kubernetes sets for a service that is called waitroom.
            near = did_you_mean(variable, [*by_variable, *files], likeness=0.8)
            draft.mistakes.append(Mistake(origin, "is no setting", near))
    return limits


def _read_flags(draft: _Draft, flags: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    limits: dict[str, tuple[Any, str]] = {}
    for parameter, value in flags.items():
        origin = f"flag {flag_text(parameter)}"
        if value is None:
            continue
        if parameter in LIMIT_FLAGS:
            limits[parameter] = (_from_text(str(value), Room.model_fields[parameter]), origin)
        else:
            row = ROWS[FLAGS[parameter]]
            draft.put(row.path, _from_text(str(value), row.field), origin)
    return limits


def _from_text(text: str, row: FieldInfo) -> Any:
    """Turn the text of a flag or a variable into what the file would hold; the models judge the result."""
    # What the system could not decode is no text, and JSON has no way to say it.
    text = text.encode("utf-8", "replace").decode()
    if is_list(row):
        return [part.strip() for part in text.split(",") if part.strip()]
    if is_number(row):
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    return text


def _place_limits(draft: _Draft, limits: dict[str, tuple[Any, str]]) -> None:
    """Give `--rate` and `--capacity` to the only room, making it when the file has none."""
    if not draft.rooms and ("rooms",) not in draft.judged:
        draft.values["rooms"] = [dict(_DEFAULT_ROOM)]
    for limit, (value, origin) in limits.items():
        if len(draft.rooms) == 1:
            draft.put(("rooms", 0, limit), value, origin)
        elif draft.rooms:
            what = f"does not say for which of the {len(draft.rooms)} rooms"
            draft.mistakes.append(Mistake(origin, what, f"set `{limit}` under [[rooms]]"))


def _read_signing_file(draft: _Draft) -> None:
    name = draft.get("keys", "signing_file")
    if not isinstance(name, str):
        return
    spot: Spot = ("keys", "signing_file")
    origin = draft.where(spot)
    if "signing" in draft.values["keys"]:
        other = draft.where(("keys", "signing"))
        draft.mistake(spot, f"the keys themselves are set as well ({other})", "set one of the two")
    elif (text := _read_text(draft, Path(name), origin, "keys.signing_file: ")) is not None:
        lines = [line.strip() for line in text.splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if keys:
            draft.put(("keys", "signing"), keys, f"{name} ({origin})")
        else:
            draft.mistake(spot, f"the file {name} holds no key", "one key a line; `waitroom keys new` makes one")


def _read_text(draft: _Draft, path: Path, origin: str, label: str = "") -> str | None:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        draft.mistakes.append(Mistake(origin, f"{label}the file {path} cannot be read: {error.strerror}"))
    except ValueError:
        draft.mistakes.append(Mistake(origin, f"{label}the file {path} is not UTF-8 text"))
    return None


# -- what is wrong with it ---------------------------------------------------------------------------------


def _check_shapes(draft: _Draft) -> None:
    """Take out tables, lists and single values that stand in each other's place: they cannot be judged further."""
    for key, value in list(draft.values.items()):
        if section := SECTIONS.get(key):
            if isinstance(value, dict):
                _check_fields(draft, (key,), value, section)
            else:
                draft.drop((key,), f"is a section, not {shown(value)}", f"write [{key}] on a line of its own")
        elif key == "rooms":
            if isinstance(value, list) and all(isinstance(room, dict) for room in value):
                for index, room in enumerate(value):
                    _check_fields(draft, ("rooms", index), room, Room)
                    _check_language(draft, ("rooms", index), room)
            else:
                draft.drop(("rooms",), "is not a list of rooms", "begin each room with [[rooms]], in double brackets")
        else:
            _check_fields(draft, (), {key: value}, Settings)


def _check_fields(draft: _Draft, around: Spot, table: dict[str, Any], model: type[BaseModel]) -> None:
    for key, value in list(table.items()):
        row = model.model_fields.get(key)
        spot = (*around, key)
        if row is None:
            continue
        if is_list(row):
            _check_list(draft, spot, value)
        elif is_moment(row) and isinstance(value, dt.date | dt.time):
            table[key] = value.isoformat()
        elif is_table(row) and isinstance(value, dict):
            pass
        elif isinstance(value, dict | list):
            draft.drop(spot, f"takes one value, not {shown(value)}", allowed(row))
        elif isinstance(value, dt.date | dt.time):
            draft.drop(spot, "cannot be a date or a time", allowed(row))


def _check_list(draft: _Draft, spot: Spot, value: Any) -> None:
    """All lists are lists of texts."""
    secret = _is_secret(spot)
    if not isinstance(value, list):
        example = json.dumps(value, ensure_ascii=False) if isinstance(value, str) and not secret else '"..."'
        what = f"is a list, not {'one text' if secret else shown(value)}"
        draft.drop(spot, what, f"write {spot[-1]} = [{example}]")
        return
    for index, entry in enumerate(value):
        if not isinstance(entry, str):
            given = "what is given" if secret else shown(entry)
            draft.mistake((*spot, index), f"cannot be {given}", "text, in quotes")
            draft.judged.add((*spot, index))
            value[index] = ""  # so that the entries after it keep their numbers


def _check_language(draft: _Draft, around: Spot, room: dict[str, Any]) -> None:
    """Check what a room's page says against what the page knows."""
    tag, words = room.get("language"), room.get("words")
    if isinstance(tag, str) and (instead := overrides.wrong_language(tag)):
        draft.drop((*around, "language"), f"the page does not speak {shown(tag)}", instead)
    if isinstance(words, dict) and (wrong := list(overrides.mistakes(words))):
        for spot, what, allow in wrong:
            draft.mistake((*around, "words", *spot), what, allow)
        draft.judged.add((*around, "words"))
        del room["words"]


def _is_secret(spot: Spot) -> bool:
    return ".".join(part for part in spot if isinstance(part, str)) in SECRETS


def _validated(draft: _Draft) -> Settings | None:
    try:
        # As JSON and strict: text stays text and numbers stay numbers, while lists become tuples and text paths.
        return Settings.model_validate_json(json.dumps(draft.values, default=str), strict=True)
    except ValidationError as error:
        for detail in details(error):
            spot = detail["loc"]
            if spot in draft.judged:
                continue  # told already, when it was taken out
            what, allow = in_words(detail, field_at(Settings, spot), secret=_is_secret(spot))
            draft.mistake(spot, what, _nearest_setting(spot) if detail["type"] == "extra_forbidden" else allow)
    return None


def _nearest_setting(spot: Spot) -> str:
    """For an unknown key: the key it was meant to be, or the section it belongs in."""
    key = str(spot[-1])
    around: type[BaseModel] = Settings
    if len(spot) > 1:
        around = Room if spot[0] == "rooms" else SECTIONS[str(spot[0])]
    homes = [f"in [{name}]" for name, section in SECTIONS.items() if key in section.model_fields]
    if key in Room.model_fields:
        homes.append("in [[rooms]]")
    if key in ROWS:
        homes.append("at the top of the file, before any section")
    if homes:
        return f"`{key}` belongs {' or '.join(homes)}"
    near = did_you_mean(key, around.model_fields)
    return near or "known here: " + ", ".join(f"`{name}`" for name in around.model_fields)


def _check_whole(draft: _Draft, *, needs_backend: bool, path: Path | None) -> None:
    told = draft.judged & {("gateway",), ("gateway", "backend")}
    if needs_backend and draft.get("gateway", "backend") == "" and not told:
        where = draft.origins.get(("gateway",)) or str(path or "settings")
        ways = "--backend http://127.0.0.1:9000, WAITROOM_GATEWAY__BACKEND, or `backend` in [gateway]"
        draft.mistakes.append(Mistake(where, "gateway.backend: the site behind is not set", ways))
    if isinstance(ca_file := draft.get("gateway", "backend_ca_file"), str):
        _read_text(draft, Path(ca_file), draft.where(("gateway", "backend_ca_file")), "gateway.backend_ca_file: ")
    token = draft.get("admin", "token")
    if isinstance(token, str) and len(token) < TOKEN_CHARACTERS:
        draft.mistake(("admin", "token"), f"has {len(token)} characters", f"at least {TOKEN_CHARACTERS}")
    gateway, admin = ([draft.get(name, key) for key in ("host", "port")] for name in ("gateway", "admin"))
    if gateway == admin and admin[1] != 0:
        spot = ("admin", "port") if ("admin", "port") in draft.origins else ("gateway", "port")
        draft.mistake(spot, f"both listeners are on {admin[0]}:{admin[1]}", "give each a port of its own")
    _check_rooms(draft)


def _check_rooms(draft: _Draft) -> None:
    names: dict[str, int] = {}
    patterns: dict[str, int] = {}
    for index, room in enumerate(draft.rooms):
        name = draft.room_name(index)
        if name is not None and names.setdefault(name, index) != index:
            first = draft.where(("rooms", names[name], "name"))
            draft.mistake(("rooms", index, "name"), f"another room has this name ({first})", "a name is used once")
        for entry, pattern in enumerate(room.get("match", _DEFAULT_ROOM["match"])):
            if ("rooms", index, "match", entry) in draft.judged:
                continue
            same = _same_pattern(pattern)
            if patterns.setdefault(same, index) != index:
                other = draft.room_name(patterns[same]) or str(patterns[same] + 1)
                what = f"{pattern!r} is matched by room {other!r} already, which comes first"
                draft.mistake(("rooms", index, "match", entry), what, "a pattern belongs to one room")
        _check_burst(draft, index, room)
        if room.get("captcha") in ("over_rate", "always") and draft.get("captcha", "provider") == "none":
            draft.mistake(("rooms", index, "captcha"), "nobody's is set up", "set `provider` and its keys in [captcha]")
        _check_files(draft, index, room)


def _same_pattern(pattern: str) -> str:
    """Patterns that differ only by the letter case of the host are the same."""
    method, _, rest = pattern.rpartition(" ")
    host, slash, path = rest.partition("/")
    return f"{method} {host.lower()}{slash}{path}"


def _check_burst(draft: _Draft, index: int, room: dict[str, Any]) -> None:
    burst, rate, capacity = (room.get(name) for name in ("burst", "rate", "capacity"))
    spot: Spot = ("rooms", index, "burst")
    if not isinstance(burst, int):
        return
    if rate in {None, "none"}:
        draft.mistake(spot, "means nothing without a rate", "set `rate`, or take `burst` out")
    if isinstance(rate, int) and 0 < rate < burst:
        draft.mistake(spot, f"{burst} at once is more than the rate lets in within a minute", f"at most {rate}")
    if isinstance(capacity, int) and 0 < capacity < burst:
        draft.mistake(spot, f"{burst} at once is more than the room holds", f"at most {capacity}")


def _check_files(draft: _Draft, index: int, room: dict[str, Any]) -> None:
    if isinstance(logo := room.get("logo"), str) and logo:
        spot: Spot = ("rooms", index, "logo")
        try:
            read_logo(logo)
        except OSError as error:
            draft.mistake(spot, f"the file {logo} cannot be read: {error.strerror}")
        except ValueError as error:
            draft.mistake(spot, str(error), "an SVG, PNG or WebP of at most 8 kB")
    if isinstance(template := room.get("template"), str) and template:
        spot = ("rooms", index, "template")
        _read_text(draft, Path(template), draft.where(spot), draft.label(spot) + ": ")


def _in_reading_order(mistakes: list[Mistake]) -> list[Mistake]:
    def key(mistake: Mistake) -> tuple[str, int]:
        file, _, line = mistake.where.rpartition(":")
        return (file, int(line)) if line.isdecimal() else (mistake.where, 0)

    return sorted(mistakes, key=key)


def _sources(draft: _Draft, settings: Settings) -> dict[str, str]:
    sources = {row.name: draft.origins.get(row.path, "default") for row in ROWS.values()}
    for index, room in enumerate(settings.rooms):
        for name in Room.model_fields:
            sources[f"rooms.{room.name}.{name}"] = draft.origins.get(("rooms", index, name), "default")
    return sources
