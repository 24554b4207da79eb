"""What an operator can do. `table` is the one list of it; JSON API, command line and console are faces of that list."""

from .call import Mistaken, RoomState, Stale
from .desk import Verbs
from .export import Export
from .live import room_live
from .table import VERBS, Verb

__all__ = ["VERBS", "Export", "Mistaken", "RoomState", "Stale", "Verb", "Verbs", "room_live"]
