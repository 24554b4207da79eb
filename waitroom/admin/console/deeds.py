"""Forms of the console → verbs: what each form's fields mean. Pure."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Final

from waitroom.admin.verbs import Mistaken
from waitroom.domain.room import LIVE_FIELDS
from waitroom.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from waitroom.domain.room import Room

FORMS: Final = {
    "pause": "pause", "resume": "resume", "close": "close", "open": "open", "rate": "change", "capacity": "change",
    "mode": "change", "setting": "change", "ramp": "ramp", "admit": "admit", "message": "message",
    "save-preset": "save-preset", "use-preset": "use-preset", "drop-preset": "drop-preset", "undo": "undo",
    "reset": "reset", "remove": "remove",
}  # fmt: skip
"""Every form of a room's page → its verb."""
MAKING: Final = ("name", "match", "rate", "capacity", "shop_name", "reason")
"""Fields of the form that makes a room."""
OTHER_SETTINGS: Final = tuple(
    name
    for name in LIVE_FIELDS
    if name not in {"rate", "ramp", "capacity", "mode", "message", "message_until", "presets"}
)
"""Live settings that have no form of their own."""


def deed(form: str, fields: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the verb that a form of `FORMS` means and its arguments; raises `Mistaken` for what cannot be read."""
    return FORMS[form], _arguments(form, fields)


def making(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of `create`. What cannot be is left for the verb to tell, all at once."""
    settings: dict[str, Any] = {name: _plain(fields.get(name, "")) for name in ("rate", "capacity")}
    patterns = [line.strip() for line in fields.get("match", "").splitlines() if line.strip()]
    settings["match"] = patterns or [""]  # a room for the whole site is made by saying so
    if shop_name := fields.get("shop_name", "").strip():
        settings["shop_name"] = shop_name
    return {"name": fields.get("name", "").strip(), "settings": settings}


def beside(mistakes: Sequence[Mistake]) -> dict[str, str]:
    """Return field of `MAKING` → what is wrong with it; of what has no field under ""."""
    wrong: dict[str, list[str]] = {}
    for mistake in mistakes:
        field = mistake.where.partition(".")[0]
        words = mistake.what + (f" ({mistake.allowed})" if mistake.allowed else "")
        wrong.setdefault(field if field in MAKING else "", []).append(words)
    return {field: "; ".join(dict.fromkeys(words)) for field, words in wrong.items()}


def others(room: Room) -> dict[str, str]:
    """Return each of `OTHER_SETTINGS` → its value as it would be typed."""
    values = room.model_dump(mode="json")
    return {name: _typed(values[name]) for name in OTHER_SETTINGS}


def _typed(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _arguments(form: str, fields: Mapping[str, str]) -> dict[str, Any]:
    match form:
        case "rate" | "capacity":
            return {"changes": {form: _limit(form, fields.get(form, ""))}}
        case "mode":
            return {"changes": {"mode": fields.get("mode", "")}}
        case "setting":
            return {"changes": _other(fields.get("setting", ""), fields.get("value", "").strip())}
        case "ramp":
            return {name: _number(name, fields.get(name, "")) for name in ("to", "minutes")}
        case "admit":
            return {"count": _number("count", fields.get("count", ""))}
        case "message":
            return {"message": _texts(fields)} | _end(fields.get("until", "").strip())
        case "save-preset":
            kept = {name: _limit(name, fields[name]) for name in ("rate", "capacity") if fields.get(name, "").strip()}
            return {"preset": fields.get("preset", "").strip(), "changes": kept}
        case "use-preset" | "drop-preset":
            return {"preset": fields.get("preset", "")}
        case "undo" if fields.get("of", "").strip():
            return {"version": _number("of", fields["of"])}
        case _:
            return {}


def _other(name: str, value: str) -> dict[str, str]:
    """Return one of `OTHER_SETTINGS` → `value`. The others have forms that ask before much is at stake."""
    if name not in OTHER_SETTINGS:
        raise Mistaken([Mistake("setting", f"{name!r} is not set here", f"one of {', '.join(OTHER_SETTINGS)}")])
    return {name: value}


def _texts(fields: Mapping[str, str]) -> str | dict[str, str]:
    """Return language → text of the fields `text.LANGUAGE`; empty when nothing is said."""
    said = {
        name.removeprefix("text."): value.strip()
        for name, value in fields.items()
        if name.startswith("text.") and value.strip()
    }
    language, text = fields.get("language", "").strip(), fields.get("in_language", "").strip()
    if language and text:
        said[language] = text
    return said or ""


def _end(until: str) -> dict[str, Any]:
    """Return when a message ends: `30 min` from now, at a moment, or (empty) when it is taken away."""
    if until.endswith(" min"):
        return {"minutes": _number("minutes", until.removesuffix(" min"))}
    return {"until": until or None}


def _limit(name: str, text: str) -> int | None:
    return None if _plain(text) in {"", "none"} else int(_number(name, text))


def _plain(text: str) -> str:
    """Return a number, or `none`, without what people group digits by."""
    return text.strip().lower().replace(",", "").replace("\u202f", "")


def _number(name: str, text: str) -> float | int:
    text = _plain(text)
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise Mistaken([Mistake(name, f"{text!r} is no number")])
    return int(number) if number.is_integer() else number
