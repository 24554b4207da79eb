"""Every key in one table.

All keys of a room share the hash tag `{room}`, so a room lives on one shard and each verb is one atomic script.
Times in scores are ms. Three clocks are used, all of them the store's:

- *now*: wall time;
- *session clock*: now, less the time in which no gateway could reach the store;
- *claim clock*: the session clock, less the time in which the room was paused.

| key        | type   | member or field → value                                    | lifetime                       |
|------------|--------|------------------------------------------------------------|--------------------------------|
| config     | hash   | version, epoch, limits, `seed` and `live` as JSON          | the room's                     |
| state      | hash   | generation, clocks, last score, frontier, credit, counters | the store's memory             |
| queue      | zset   | visitor → score (µs)                                       | until called or left           |
| called     | zset   | visitor → claim deadline (claim clock)                     | until entered, missed or left  |
| missed     | zset   | visitor → when the place is forgotten (claim clock)        | `hold_minutes`                 |
| active     | zset   | visitor → session end (session clock)                      | the session                    |
| entries    | list   | `slot:count`, oldest first, slots of 50 ms                 | 60 s and a margin              |
| spent      | zset   | visitor (places), `~visitor` (passes), `!visitor` (a place |                                |
|            |        | that was taken away) → end of the last that counts no more | the proof's                    |
| snapshot   | string | the room in numbers and scores at ranks of its queue, JSON | until the next                 |
| pulse      | list   | totals each 5 s in one mode and capacity, JSON, in order   | 5 min                          |
| journal    | stream | kind (domain/journal.py), visitor, score                   | 100,000 entries or 48 h        |
| meters     | hash   | what the processes measured, added up; `second` of the last sample | the room's              |
| seconds    | stream | the room's history, a sample a second                      | 15 min                         |
| tens       | stream | every tenth of them                                        | 4 h                            |
| minutes    | stream | every sixtieth                                             | 48 h                           |
| joins:…    | hash   | newcomers of a network, by slot of 5 s; the network's name is a keyed digest | 65 s |
| audit      | stream | request, version, people, `line` (domain/audit.py, JSON)   | 10,000 entries or 400 days     |

What belongs to no room stands under the house, which no room can be called:

| key        | type   | member or field → value                                    | lifetime                       |
|------------|--------|------------------------------------------------------------|--------------------------------|
| accounts   | hash   | name → account (domain/access.py, JSON)                    | until removed                  |
| tokens     | hash   | id → API token (domain/access.py, JSON)                    | until revoked                  |
| session:…  | string | a log-in, under the digest of its text                     | until idle for long            |
| attempts:… | string | log-ins tried, under the digest of who tried               | 15 min                         |
| audit      | stream | as above                                                   | as above                       |
| format     | string | the number of the format that all of this is in; none is 1 | for ever                       |
| rooms      | hash   | room made at run time → JSON, empty once removed; `_version` | for ever                     |
| gateways   | hash   | gateway process → the versions it runs (domain/uptake.py, JSON) | until it ends or is silent |
"""

from __future__ import annotations

PREFIX = "waitroom"
HOUSE = "_house"
NAMES: tuple[str, ...] = (
    "config",
    "state",
    "queue",
    "called",
    "missed",
    "active",
    "entries",
    "spent",
    "snapshot",
    "pulse",
    "journal",
    "meters",
    "seconds",
    "tens",
    "minutes",
    "joins",
    "audit",
    "accounts",
    "tokens",
    "session",
    "attempts",
    "format",
    "rooms",
    "gateways",
)

FORMAT = 1
"""Of what stands under the keys. It rises when a version of Waitroom writes what the one before cannot live with (see
"Two versions side by side" in docs/architecture.md)."""


def key(room: str, name: str) -> str:
    """Return the key `name` of `room`; raises KeyError for a name that the table does not hold."""
    if name not in NAMES:
        raise KeyError(name)
    return f"{PREFIX}:{{{room}}}:{name}"
