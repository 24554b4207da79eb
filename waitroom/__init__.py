"""Waitroom: the waiting room in front of a shop."""

__version__ = "0.1.0"
