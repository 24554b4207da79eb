"""Moments and spans as operators read them. Pure; times in UTC, which the browser turns into its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def clock(at_ms: int) -> str:
    """Return the time of day."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")


def moment(at_ms: int) -> str:
    """Return date and time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(span_ms: int) -> str:
    """Return how long ago something was."""
    seconds = max(0, span_ms // 1000)
    if seconds < 100:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 6_000 else f"{seconds // 3_600} h ago"


def wait_words(wait: Sequence[int | None] | None) -> str:
    """Return a range of minutes, `[low, high]`, in words; high is None when nobody can say."""
    if wait is None:
        return "not known"
    low, high = wait
    if high is None:
        return f"over {low} min"
    return f"{low} to {high} min" if low else f"under {high} min"
