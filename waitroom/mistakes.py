"""What is wrong with a value and what is allowed instead, in words for whoever wrote it."""

from __future__ import annotations

import difflib
import enum
import types
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ByteSize, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

LONGEST_VALUE = 60
"""Longer values are cut where a mistake repeats them."""


def did_you_mean(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return "did you mean `port`?" when something known is at least so much alike (0 to 1), else ""."""
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=likeness)
    return f"did you mean `{by_lower_case[near[0]]}`?" if near else ""


def is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def is_table(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is dict or _model_in(field.annotation) is not None


def is_moment(field: FieldInfo) -> bool:
    return datetime in _kinds(field.annotation)


def is_number(field: FieldInfo) -> bool:
    """True for what text must be turned into a number for, as in the environment."""
    kinds = set(_kinds(field.annotation)) - {bool, ByteSize}
    return any(issubclass(kind, int | float) for kind in kinds)


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The words or numbers that `field` is one of; empty when it is free."""
    if get_origin(field.annotation) is Literal:
        return tuple(str(choice) for choice in get_args(field.annotation))
    if isinstance(field.annotation, type) and issubclass(field.annotation, enum.Enum):
        return tuple(str(choice.value) for choice in field.annotation)
    return ()


def allowed(field: FieldInfo) -> str:
    """Say what `field` may be, such as "a whole number from 0 to 65535"."""
    if isinstance(field.json_schema_extra, dict) and (form := field.json_schema_extra.get("form")):
        return str(form)
    if options := choices(field):
        return "one of " + ", ".join(f"`{option}`" for option in options)
    if is_list(field):
        return "a list of texts"
    if is_table(field):
        value = get_args(field.annotation)[1]
        if value is str:
            return "a text, or a table of language → text"
        return "a table of language → key → text" if get_origin(value) is dict else "a table of name → value"
    kinds = set(_kinds(field.annotation))
    if datetime in kinds:
        return 'a date and time such as 2026-11-27T10:00:00+01:00 or "none"'
    if bool in kinds:
        return "`true` or `false`"
    optional = ' or "none"' if type(None) in kinds else ""
    if ByteSize in kinds:
        return f'a number of bytes, or text such as "10MB"{optional and ","}{optional}'
    if kinds & {int, float}:
        return ("a whole number" if int in kinds else "a number") + _range(field) + optional
    return "text, in quotes"


def _kinds(annotation: Any) -> Iterator[type]:
    if get_origin(annotation) in {Union, types.UnionType}:
        for part in get_args(annotation):
            yield from _kinds(part)
    elif get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif get_origin(annotation) is Literal:
        yield from {type(choice) for choice in get_args(annotation)}
    elif isinstance(annotation, type):
        yield annotation


def _range(field: FieldInfo) -> str:
    low = high = ""
    for rule in field.metadata:
        match rule:
            case annotated_types.Ge(ge=bound):
                low = f" from {bound}"
            case annotated_types.Gt(gt=bound):
                low = f" above {bound}"
            case annotated_types.Le(le=bound):
                high = f" to {bound}"
    return low + (f" up{high}" if high and not low.startswith(" from") else high)


def shown(value: Any) -> str:
    """Repeat a value as its writer would recognise it, cut when long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def field_at(model: type[BaseModel], spot: tuple[str | int, ...]) -> FieldInfo | None:
    """Return the field that an error's `loc` points into, or None when there is no such field."""
    field: FieldInfo | None = None
    inside: type[BaseModel] | None = model
    for part in spot:
        if isinstance(part, int):
            continue
        if inside is None:
            return field
        field = inside.model_fields.get(part)
        if field is None:
            return None
        inside = _model_in(field.annotation)
    return field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *get_args(annotation)]
    models = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
    return models[0] if models else None


def details(error: ValidationError) -> list[ErrorDetails]:
    """Return what pydantic found. Of a list whose entries are wrong it says too that it is short; that is left out."""
    found = error.errors(include_url=False)
    return [detail for detail in found if not (detail["type"] == "too_short" and detail["input"])]


def in_words(detail: ErrorDetails, field: FieldInfo | None, *, secret: bool = False) -> tuple[str, str]:
    """Return (what is wrong, what is allowed) for one of pydantic's errors. A secret's value is never repeated."""
    value = detail["input"]
    given = "what is given" if secret else shown(value)
    kind = detail["type"]
    if kind == "value_error":
        return str(detail["ctx"]["error"]), ""
    if kind == "missing":
        return "is missing", (field.description or "") if field else ""
    if kind == "extra_forbidden":
        return "is no setting", ""
    if kind == "too_short":
        return "is an empty list", "give at least one entry"
    if kind == "string_too_long":
        return f"has {len(value)} characters", f"at most {detail['ctx']['max_length']}"
    if kind == "string_pattern_mismatch":
        return f"cannot be {given}", f"must match {detail['ctx']['pattern']}"
    if kind == "ip_any_network":
        return f"{given} is no network", "such as 10.0.0.0/8 or 192.0.2.7, without host bits"
    if field is None:
        return detail["msg"].replace("Input should", "should", 1), ""
    near = did_you_mean(value, choices(field)) if isinstance(value, str) and not secret else ""
    return f"cannot be {given}", "; ".join(filter(None, (near, allowed(field))))
