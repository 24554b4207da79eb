"""The demo: a toy shop, a crowd that is too much for it, and Waitroom between them. Here: its defaults."""

from __future__ import annotations

SHOPPERS = 400
ARRIVE_SECONDS = 10.0
RATE = 600
CAPACITY = 60
SEED = 1
MOST_SHOPPERS = 5_000
