"""The verbs as JSON, their description, and what monitoring reads."""

from .problems import problem, told
from .routes import api_routes

__all__ = ["api_routes", "problem", "told"]
