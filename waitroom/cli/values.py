"""How values of settings are written for people and for programs; secrets stay hidden."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ByteSize, SecretStr

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HIDDEN = "********"


def as_text(value: Any) -> str:
    """Write a value on one line; what is not set is "none"."""
    if value is None or value in ("", (), [], {}):
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return as_text(dict(value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {as_text(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(as_text(entry) for entry in value)
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, ByteSize):
        return value.human_readable().replace(".0", "")
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def as_json(value: Any) -> Any:
    """Return what JSON can hold of a value."""
    if isinstance(value, list | tuple):
        return [as_json(entry) for entry in value]
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return as_json(dict(value))
    if isinstance(value, dict):
        return {key: as_json(entry) for key, entry in value.items()}
    return value if value is None or isinstance(value, int | float | str) else str(value)


def without_password(url: str) -> str:
    """Hide the password of a URL, and what its query may hold."""
    scheme, mark, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    name, colon, _ = user.partition(":")
    user = f"{name}:{HIDDEN}" if colon else user
    return f"{scheme}{mark}{user}{at}{hosts}{slash}{path}" + (f"?{HIDDEN}" if query else "")


def default_text(field: FieldInfo) -> str:
    """Write the default of a setting."""
    from ..settings import ROWS

    if field.is_required() or field is ROWS["gateway.backend"].field:
        return "required"
    return as_text(field.default)


def plain(sentence: str) -> str:
    """Take the marks of documentation off a sentence."""
    return sentence.replace("`", "")
