"""How soon a page is asked for again while the shop fails: later, the longer it has failed, and never all at once.

Each of those who look at the page waits for half as long as the shop has failed by then, so that the waits of one
person grow by half each time, and nothing need be kept about anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 30.0
SPREAD: Final = 0.2
"""Of a wait, at most that share longer or shorter, by chance."""


class BackOff:
    """What one proxy knows of its backend's failing. Times are seconds of any one clock that never goes back.

    `uniform(low, high)` is chance.
    """

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._failing_since: float | None = None

    def failed(self, now: float, answered_at: float) -> int:
        """Note a failure at `now`, and return in how many seconds to ask again.

        `answered_at`: when the backend last answered a request.
        """
        if self._failing_since is None or answered_at >= self._failing_since:
            self._failing_since = now
        seconds = (now - self._failing_since) / 2
        seconds = min(LONGEST_SECONDS, max(SHORTEST_SECONDS, seconds))
        return round(seconds * self._uniform(1 - SPREAD, 1 + SPREAD))
