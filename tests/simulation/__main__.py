"""Write what the twelve scenarios show into docs/estimates.md.

python -m tests.simulation
"""

from __future__ import annotations

from .report import DOCUMENT, recorded, result_of, table
from .scenarios import SCENARIOS

if __name__ == "__main__":
    DOCUMENT.write_text(recorded(DOCUMENT.read_text(), table([result_of(scenario) for scenario in SCENARIOS])))
    print(f"written: {DOCUMENT}")
