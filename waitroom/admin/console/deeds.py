"""Forms of the console → verbs: what each form's fields mean. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from waitroom.admin.verbs import Mistaken
from waitroom.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMS = (
    "pause", "resume", "close", "open", "rate", "capacity", "mode", "ramp", "admit", "message", "save-preset",
    "use-preset", "drop-preset", "undo", "reset", "remove",
)  # fmt: skip
"""Every form of a room's page."""


def deed(form: str, fields: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the verb that a form means and its arguments; raises `Mistaken` for what cannot be read."""
    match form:
        case "rate" | "capacity":
            return "change", {"changes": {form: _limit(form, fields.get(form, ""))}}
        case "mode":
            return "change", {"changes": {"mode": fields.get("mode", "")}}
        case "ramp":
            return "ramp", {"to": _number("to", fields), "minutes": _number("minutes", fields)}
        case "admit":
            return "admit", {"count": _number("count", fields)}
        case "message":
            return "message", {"message": _texts(fields)} | _end(fields.get("until", "").strip())
        case "save-preset":
            kept = {name: _limit(name, fields[name]) for name in ("rate", "capacity") if fields.get(name, "").strip()}
            return "save-preset", {"preset": fields.get("preset", "").strip(), "changes": kept}
        case "use-preset" | "drop-preset":
            return form, {"preset": fields.get("preset", "")}
        case "undo" if fields.get("of", "").strip():
            return "undo", {"version": _number("of", fields)}
        case _:
            return form, {}


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
        return {"minutes": _number("minutes", {"minutes": until.removesuffix(" min")})}
    return {"until": until or None}


def _limit(name: str, text: str) -> int | None:
    plain = text.strip().lower()
    return None if plain in {"", "none"} else int(_number(name, {name: plain}))


def _number(name: str, fields: Mapping[str, str]) -> float | int:
    text = fields.get(name, "").strip().replace(",", "").replace("\u202f", "")
    try:
        number = float(text)
    except ValueError:
        raise Mistaken([Mistake(name, f"{text!r} is no number")]) from None
    return int(number) if number == int(number) else number
