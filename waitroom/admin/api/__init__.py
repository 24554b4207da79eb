"""The verbs as JSON, their description, and what monitoring reads."""

from .app import make_app

__all__ = ["make_app"]
