"""The description of the API (OpenAPI 3.1), made from the table of verbs and their places."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import waitroom
from waitroom.admin.places import BASE, PLACES, in_body, in_path
from waitroom.admin.verbs import VERBS, Verb

_TEMPLATE: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_REASON: Final = {
    "type": ["string", "null"],
    "maxLength": 500,
    "description": "Why, for whoever reads the log of changes later.",
}
_REFUSALS: Final = {
    "400": "A header or the body cannot be read.",
    "401": "Without a valid token.",
    "403": "From a page of another site, or by a foreign host name.",
    "404": "There is no such room, or no such visitor in it.",
    "409": "Not possible as the room stands.",
    "412": "The room is not at the version of If-Match; `changes` says who did what since.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "`mistakes` holds all that is wrong.",
    "429": "More often than the room allows.",
    "503": "The store does not answer.",
}
_FILES: Final = {"export": ("text/csv", "application/x-ndjson"), "report": ("text/html",)}
"""Verbs that answer with a file, and its media types."""
_SCHEMAS: Final[dict[str, Any]] = {
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "mistakes": {"type": "array", "items": {"type": "object"}},
            "changes": {"type": "array", "items": {"type": "object"}},
        },
    },
    "RoomState": {
        "type": "object",
        "required": [
            "name",
            "version",
            "mode",
            "room",
            "live",
            "rate_now",
            "census",
            "limiting",
            "store_available",
            "gateways",
        ],
        "properties": {
            "name": {"type": "string"},
            "version": {"type": "integer"},
            "mode": {"enum": ["on", "paused", "closed", "off"]},
            "room": {"type": "object", "description": "Every setting in force."},
            "live": {"type": "object", "description": "What operators changed; wins over the file."},
            "rate_now": {"type": ["integer", "null"], "description": "On the way of a ramp, or as the room says."},
            "census": {"type": ["object", "null"], "description": "Counts; null while the store is away."},
            "limiting": {"type": ["string", "null"], "description": "What keeps the next visitor out."},
            "store_available": {"type": "boolean"},
            "gateways": {
                "type": ["object", "null"],
                "description": "`running`: how many gateway processes there are; `pending`: which of them do not run "
                "this version yet. Null while the store is away.",
            },
        },
    },
}


@lru_cache(1)
def document() -> dict[str, Any]:
    """Return the whole description."""
    schemas = dict(_SCHEMAS)
    paths: dict[str, dict[str, Any]] = {}
    for name, (method, path) in PLACES.items():
        paths.setdefault(BASE + path, {})[method.lower()] = _operation(VERBS[name], method, path, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Waitroom: what operators can do", "version": waitroom.__version__},
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(verb: Verb, method: str, path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = verb.arguments.model_json_schema(ref_template=_TEMPLATE)
    schemas |= schema.pop("$defs", {})
    fields: dict[str, Any] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    placed = in_path(path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": fields.get(name, {"type": "string"})}
        for name in placed
    ]
    others = {name: field for name, field in fields.items() if name not in placed}
    if verb.changes:
        others["reason"] = _REASON
        parameters += [_header("Idempotency-Key", "Makes a repetition harmless.", "^[!-~]{1,128}$")]
        if verb.of_room:
            sentence = "Only if the room is at this version, as its ETag says."
            parameters += [_header("If-Match", sentence, '^(\\*|(W/)?"[0-9]{1,15}")$')]
    operation: dict[str, Any] = {
        "operationId": verb.name,
        "summary": verb.sentence,
        "x-role": verb.role.name.lower(),
        "x-reversible": verb.reversible,
        "responses": {
            "200": {"description": "Done.", "content": _answer(verb)},
            **{status: {"description": words, "content": _PROBLEM} for status, words in _REFUSALS.items()},
        },
    }
    if in_body(method):
        needed = sorted(required & set(others))
        body = {"type": "object", "properties": others, "required": needed, "additionalProperties": False}
        operation["requestBody"] = {"required": bool(needed), "content": {"application/json": {"schema": body}}}
    else:
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in others.items()
        ]
    if parameters:
        operation["parameters"] = parameters
    return operation


def _header(name: str, sentence: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "required": False, "description": sentence, "schema": schema}


def _answer(verb: Verb) -> dict[str, Any]:
    if verb.name in _FILES:
        return {media_type: {"schema": {"type": "string"}} for media_type in _FILES[verb.name]}
    state = verb.reversible or verb.name in {"show", "create"}
    schema = {"$ref": "#/components/schemas/RoomState"} if state else {"type": "object"}
    return {"application/json": {"schema": schema}}
