"""A room's record ⇄ the hash `config` of the room: what the file and operators say, and of it what the scripts read.

Versions of Waitroom that run side by side write the same hash. What another has written and this one does not know is
passed over and kept; what another has not written is as this one's own file says.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from waitroom.domain.message import Message
from waitroom.domain.room import Room, known_settings

from .base import RoomRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

READ: Final = ("version", "epoch", "seed", "live", "messages")
"""The fields that `read_record` reads. The last three are JSON and no script reads them."""


def limits(room: Room) -> list[str | int]:
    """Return the fields of the config hash that the scripts read, as field, value, field, value …"""

    def number(value: int | None) -> str:
        return "" if value is None else str(value)

    return [
        "mode", room.mode.value,
        "rate", number(room.rate),
        "ramp_rate", "" if room.ramp is None else room.ramp.start_rate,
        "ramp_start_ms", "" if room.ramp is None else room.ramp.start_ms,
        "ramp_end_ms", "" if room.ramp is None else room.ramp.end_ms,
        "capacity", number(room.capacity),
        "burst", room.burst_visitors,
        "session_ms", room.session_seconds * 1000,
        "sliding", int(room.renew == "sliding"),
        "refresh_ms", room.refresh_seconds * 1000,
        "claim_ms", room.claim_seconds * 1000,
        "hold_ms", room.hold_minutes * 60_000,
        "opens_ms", number(room.opens_ms),
    ]  # fmt: skip


def fields_of(record: RoomRecord) -> list[str | int]:
    """Return the fields of the config hash as they are written, as field, value, field, value …"""
    return [
        *limits(record.room),
        "seed", json.dumps(record.seed, sort_keys=True),
        "live", json.dumps(record.live, sort_keys=True),
        "messages", json.dumps([[message.at_ms, message.text] for message in record.messages]),
    ]  # fmt: skip


def read_record(values: Sequence[bytes | None], room: Room) -> RoomRecord:
    """Return what the fields `READ` say, beside the room as this process has it."""
    version, epoch, seed, live, messages = values
    return RoomRecord(
        room,
        version=int(version or 0),
        epoch=int(epoch or 0),
        seed=json.loads(seed or b"{}"),
        live=json.loads(live or b"{}"),
        messages=tuple(Message(at_ms, text) for at_ms, text in json.loads(messages or b"[]")),
    )


def seeded(own: Room, record: RoomRecord) -> Room:
    """Return the room as the record's seed has it, and where that says nothing as `own`; raises `ValidationError`."""
    return own.changed(known_settings(record.seed))


def merged(seed: Room, record: RoomRecord) -> RoomRecord:
    """Return the record with `seed` under its live settings; raises `ValidationError`."""
    return replace(record, room=seed.changed(known_settings(record.live)), seed=seed.model_dump(mode="json"))
