"""The direct way: a request that nobody need be asked about goes to the site, and its answer back, by plain calls.

Most requests are of this kind: no body, a fresh pass or none needed, and a connection to the site that stands idle. For
them the gate (`Gate.set_out`) finds a `Trip`, and whoever carries it calls the exchange with each part of the answer as
it arrives: no task, no coroutine, no messages, no further turn of the event loop.

Only what goes as expected goes this way to its end. Whatever else turns up before the answer begins is handed over
(`Exchange.take_over`) and goes on the ordinary way from there, the trip in the scope's extensions as `waitroom.trip`.
So each rule of failing, repeating and releasing stands in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from waitroom.gateway.exchange import Exchange
    from waitroom.gateway.visitor import Header

Edit = Callable[[Sequence["Header"]], "Sequence[Header] | None"]
"""The headers of the site's answer → those of ours; None: this answer must be handed over."""


class Trip(Protocol):
    """A request on its way."""

    def leave(self) -> None:
        """The visitor has left."""

    def resume(self) -> None:
        """The visitor takes bytes again."""


class SetOut(Protocol):
    """The beginning of a trip; None when the request must go the ordinary way, and then nothing has happened."""

    def __call__(
        self,
        visitor: Exchange,
        method: str,
        target: bytes,
        headers: Sequence[Header],
        edit: Edit,
        peer: str | None,
        scheme: str,
        http_version: str,
    ) -> Trip | None: ...
