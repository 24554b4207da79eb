"""Every Prometheus series: what processes count (`Metrics`), and the rooms as the store counts them (`RoomFigures`)."""

from .process import CONTENT_TYPE, Metrics, forget_process
from .rooms import ROOM_TOTALS, RoomFigures
from .series import BACKEND_SECONDS

__all__ = ["BACKEND_SECONDS", "CONTENT_TYPE", "ROOM_TOTALS", "Metrics", "RoomFigures", "forget_process"]
