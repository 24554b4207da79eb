"""The one list of what an operator can do.

Every face walks it: a verb that is not here cannot be called, and one that a face lacks fails the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.access import Role

from . import changes, export, forecast, live, people, presets, records, report, rooms, visitors
from .changes import Changes, Nothing, Ramping, Saying, Undoing
from .export import Exporting
from .forecast import Forecasting
from .people import AccountAndRole, AccountName, NewToken, TokenId
from .presets import Preset, Saving
from .records import AuditPage, HistoryRange, JournalPage
from .rooms import Making
from .visitors import Admitting, Code, Searching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .call import Arguments


@dataclass(frozen=True, slots=True)
class Verb:
    """One row. `role` is the least that may; `changes` says whether it changes anything, `reversible` whether `undo`
    takes it back.
    """

    name: str
    sentence: str
    act: Callable[[Any, Any], Awaitable[Any]]
    arguments: type[Arguments]
    role: Role
    of_room: bool = True
    changes: bool = True
    reversible: bool = False


def _mode(name: str, sentence: str) -> Verb:
    return Verb(name, sentence, changes.turning(name), Nothing, Role.OPERATOR, reversible=True)


def _of_house(
    name: str,
    sentence: str,
    act: Callable[[Any, Any], Awaitable[Any]],
    arguments: type[Arguments],
    *,
    changes: bool = True,
) -> Verb:
    return Verb(name, sentence, act, arguments, Role.ADMIN, of_room=False, changes=changes)


_ROWS: Final = (
    Verb("rooms", "List the rooms.", rooms.listed, Nothing, Role.VIEWER, of_room=False, changes=False),
    Verb("show", "Show a room: what is in force, what was changed live, counts, what limits.", rooms.show, Nothing,
         Role.VIEWER, changes=False),
    Verb("live", "Show every figure of every room as it is now, with the wait of who comes now and the shop's health.",
         live.live, Nothing, Role.VIEWER, of_room=False, changes=False),
    Verb("create", "Make a room at run time; the gateways serve it within a second.", rooms.create, Making, Role.ADMIN,
         of_room=False),
    Verb("remove", "Remove a room that was made at run time, with its queue.", rooms.remove, Nothing, Role.ADMIN),
    Verb("change", "Change live settings of a room, all or none.", changes.change, Changes, Role.OPERATOR,
         reversible=True),
    _mode("pause", "Admit nobody; all places are kept."),
    _mode("resume", "Admit again after a pause."),
    _mode("close", "Let nobody join any more: sold out, or over."),
    _mode("open", "Admit again after closing."),
    Verb("message", "Say something to those who wait, or nothing any more.", changes.message, Saying, Role.OPERATOR,
         reversible=True),
    Verb("ramp", "Lead the rate evenly to another over minutes.", changes.ramp, Ramping, Role.OPERATOR,
         reversible=True),
    Verb("save-preset", "Keep a set of live settings under a name.", presets.save, Saving, Role.OPERATOR,
         reversible=True),
    Verb("use-preset", "Put what a preset says in force.", presets.use, Preset, Role.OPERATOR, reversible=True),
    Verb("drop-preset", "Forget a preset.", presets.drop, Preset, Role.OPERATOR, reversible=True),
    Verb("admit", "Call the next visitors at once: beyond the rate, never beyond the capacity.", visitors.admit,
         Admitting, Role.OPERATOR),
    Verb("reset", "Empty the queue: everybody in it loses the place.", visitors.reset, Nothing, Role.ADMIN),
    Verb("visitor", "Find a visitor by short code and tell their story.", visitors.find, Searching, Role.VIEWER,
         changes=False),
    Verb("release", "End a visitor's session, so that the slot is free.", visitors.dismissing("release"), Code,
         Role.OPERATOR),
    Verb("revoke", "Take a visitor's session and place away.", visitors.dismissing("revoke"), Code, Role.OPERATOR),
    Verb("front", "Put a visitor back at the front, with a reason, at most `front_limit` a day.", visitors.front, Code,
         Role.OPERATOR),
    Verb("journal", "Read what happened to visitors, newest first.", records.journal, JournalPage, Role.VIEWER,
         changes=False),
    Verb("history", "Read a room's history: arrivals, admitted, waiting, active, waits, the shop's latency and errors.",
         records.history, HistoryRange, Role.VIEWER, changes=False),
    Verb("forecast", "Say how many people a verb would touch, and what it would do to the wait.", forecast.forecast,
         Forecasting, Role.VIEWER, changes=False),
    Verb("report", "Hand out the report of a room over a time: one HTML file with its charts inside.", report.report,
         HistoryRange, Role.VIEWER, changes=False),
    Verb("undo", "Take back the last change of a room, or the one that made a version.", changes.undo, Undoing,
         Role.OPERATOR, reversible=True),
    Verb("audit", "Read the log of changes, newest first.", records.audit, AuditPage, Role.VIEWER, of_room=False,
         changes=False),
    Verb("export", "Hand out a whole record as a file.", export.export, Exporting, Role.VIEWER, of_room=False,
         changes=False),
    _of_house("accounts", "List who logs in.", people.accounts, Nothing, changes=False),
    _of_house("add-account", "Add an account; the answer holds the link that sets its password.", people.add_account,
              AccountAndRole),
    _of_house("invite", "Make a link for an account without a password.", people.invite, AccountName),
    _of_house("give-role", "Say what an account may; its sessions end.", people.give_role, AccountAndRole),
    _of_house("reset-account", "Take password and second factor away; the answer holds a new link.",
              people.reset_account, AccountName),
    _of_house("remove-account", "Remove an account; its sessions end.", people.remove_account, AccountName),
    _of_house("tokens", "List the API tokens.", people.tokens, Nothing, changes=False),
    _of_house("add-token", "Make an API token; its text is in the answer, this once.", people.add_token, NewToken),
    _of_house("revoke-token", "Revoke an API token.", people.revoke_token, TokenId),
)  # fmt: skip

VERBS: Final[dict[str, Verb]] = {verb.name: verb for verb in _ROWS}
