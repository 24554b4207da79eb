"""What the page shows in each of its views: the table that the template and the script both read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ..standing import Standing

NEAR_MINUTES: Final = 1
"""Whoever surely waits no longer than that is asked to keep the page open."""
MILESTONES: Final = (1_000, 500, 100, 50, 10, 5, 1)
"""Places that are spoken when they are passed."""


class View(NamedTuple):
    """One view. Its words are the texts that begin with its name. The script reads it as a list in this order."""

    parts: str = ""
    """Names of what is shown beside title, heading, lead and messages, where there is a value."""
    action: str = ""
    """The text of the link to the page first asked for; "" when there is none."""
    main: bool = False
    """Whether that link is what the visitor should use."""
    shut: bool = False
    """Nobody joins or enters, so there is no place to show."""


_QUEUE: Final = "place waits rate behind progress keep turn tools fresh code"

VIEWS: Final[dict[str, View]] = {
    "before": View("opens place behind keep turn tools fresh code", "go_check"),
    "joining": View("code"),
    "checking": View(),
    "waiting": View(_QUEUE, "go_check"),
    "near": View("place waits progress keep turn tools fresh code", "go_check"),
    "paused": View("place waits behind progress keep turn tools fresh code", "go_check"),
    "called": View("claim tools code", "go_enter", main=True),
    "admitted": View("", "go_enter", main=True),
    "missed": View("missed tools code", "go_here", main=True),
    "closed": View("links", "go_again", shut=True),
    "ended": View("links", "go_again", shut=True),
    "full": View("links fresh", "go_again", shut=True),
    "maintenance": View("links fresh", "go_again", shut=True),
    "reconnecting": View("place waits keep fresh code", "go_check"),
    "offline": View("place waits keep fresh code"),
    "recovering": View("place keep turn fresh code", "go_check"),
    "new": View("", "go_join", main=True),
    "cookies_off": View("place waits code", "go_check"),
    "blocked": View("code", "go_again"),
}


def view_of(standing: Standing) -> str:
    """Return which view a visitor who loads the page is shown."""
    view = standing.view
    if view == "active":
        return "admitted"
    if view == "waiting":
        soon = standing.wait is not None and standing.wait[1] == NEAR_MINUTES
        return "near" if soon or standing.position == 1 else "waiting"
    return view if view in VIEWS else "new"
