"""What programs get that have to wait or asked for what cannot be: problem JSON (RFC 9457)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from .address import waiting_address

if TYPE_CHECKING:
    from .standing import Standing
    from .visitor import Header

PROBLEM_TITLES: Final = {
    "closed": "The room is closed",
    "called": "It is your turn in a moment",
    "blocked": "Too many newcomers from one network",
    "reconnecting": "The queue cannot be reached at the moment",
}


def problem(standing: Standing, *, prefix: str, came_from: str = "") -> tuple[bytes, list[Header]]:
    """Return RFC 9457 JSON about a request that has to wait, and its headers.

    It holds all that `me` says, and where to wait: by asking (`join`, `me`, `queue`), or by sending the browser to
    `page`, which leads back to `came_from` at the visitor's turn.
    """
    room, base = standing.room, f"{prefix}/{standing.room}"
    document: dict[str, Any] = {
        "type": f"urn:waitroom:{standing.view}",
        "title": PROBLEM_TITLES.get(standing.state, "Too many people at once"),
        "status": 429,
        "detail": f"This needs a turn in the room {room}. Join the queue, ask `me` when to come back, and repeat the "
        "request when its state is called.",
        **standing.as_json(),
        "join": f"{base}/join",
        "me": f"{base}/me",
        "queue": f"{base}/queue.json",
        "page": waiting_address(prefix, room, came_from or "/"),
    }
    if standing.state == "closed":
        document["detail"] = f"Nobody joins or enters the room {room} any more."
    body, headers = json_body(document, media_type=b"application/problem+json")
    headers.append((b"retry-after", str(standing.poll_after_seconds).encode("ascii")))
    headers.append((b"waitroom-location", document["page"].encode("ascii")))
    return body, headers


CHALLENGES: Final = {
    "puzzle": "Find the number of `puzzle`, and send its `solution` to `join`.",
    "captcha": "A person has to pass the `captcha` in a browser; send the response to `join` as `captcha`.",
}
"""What is put to newcomers → how it is passed."""


def challenge_problem(
    standing: dict[str, Any], challenge: dict[str, Any], retry_seconds: int
) -> tuple[bytes, list[Header]]:
    """Return RFC 9457 JSON about a challenge to be passed before joining: all that `me` says, and the challenge.

    `retry_seconds`: when to bring again what could not be judged; 0 for never.
    """
    document = {
        "type": "urn:waitroom:challenged",
        "title": "A challenge comes first",
        "status": 428,
        "detail": " ".join(CHALLENGES[kind] for kind in challenge),
    }
    body, headers = json_body(document | standing | challenge, media_type=b"application/problem+json")
    if retry_seconds:
        headers.append((b"retry-after", str(retry_seconds).encode("ascii")))
    return body, headers


def plain_problem(status: int, title: str, detail: str) -> tuple[bytes, list[Header]]:
    """Return RFC 9457 JSON about a request that cannot be carried out."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return json_body(document, media_type=b"application/problem+json")


def json_body(document: dict[str, Any], *, media_type: bytes = b"application/json") -> tuple[bytes, list[Header]]:
    """Return JSON and the headers of an answer that nobody may keep."""
    return json.dumps(document, separators=(",", ":")).encode(), [
        (b"content-type", media_type),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
