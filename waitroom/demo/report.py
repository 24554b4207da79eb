"""What a run of the demo showed, judged against what was promised, as a table and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

from .crowd import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .crowd import Tally
    from .ledger import Figures


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, its limit in words, and whether it was kept; None when nothing was promised."""

    name: str
    value: str
    limit: str
    kept: bool | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The end of one run."""

    protected: bool
    rate: int
    capacity: int
    seed: int
    shop: Figures
    tally: Tally

    @property
    def kept(self) -> bool:
        """Whether every promise was kept; a run without Waitroom has none to break."""
        return all(row.kept is not False for row in self.rows())

    def rows(self) -> list[Row]:
        """Return the figures in the order in which they are read."""
        shop = self.shop
        p50, p95 = (_seconds(percentile(self.tally.waits_seconds, share)) for share in (0.5, 0.95))
        return [
            Row("orders placed", str(shop.orders_placed), ""),
            self._promise("orders lost", shop.orders_lost, 0, "none"),
            self._promise("5xx answers", shop.answers_5xx, 0, "none"),
            self._promise("peak active sessions", shop.peak_active, self.capacity, f"at most {self.capacity}"),
            self._promise(
                "entries in the busiest 60 s", shop.entries_busiest_60_seconds, self.rate, f"at most {self.rate}"
            ),
            Row("wait until inside, p50 / p95", f"{p50} / {p95}", ""),
        ]

    def _promise(self, name: str, value: int, most: int, words: str) -> Row:
        return Row(name, str(value), words, value <= most if self.protected else None)

    def table(self) -> Table:
        """Return the figures for a terminal."""
        table = Table(title=f"What the shop counted, {'behind Waitroom' if self.protected else 'on its own'}")
        table.add_column("")
        table.add_column("counted", justify="right")
        table.add_column("promised" if self.protected else "behind Waitroom")
        if self.protected:
            table.add_column("")
        for row in self.rows():
            cells = [row.name, row.value, row.limit]
            if self.protected:
                cells.append({None: "", True: "[green]kept[/]", False: "[bold red]broken[/]"}[row.kept])
            table.add_row(*cells)
        return table

    def crowd(self) -> str:
        """Return what became of the shoppers, in one sentence."""
        stages, reasons = self.tally.stages, self.tally.reasons
        gone = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        inside = stages[Stage.WAITING] + stages[Stage.SHOPPING] + stages[Stage.COMING]
        rest = f", {inside} had not finished" if inside else ""
        return f"Of {self.tally.shoppers} shoppers {stages[Stage.ORDERED]} got their order" + (
            f"; {stages[Stage.LEFT]} left ({gone}){rest}." if gone else f"{rest}."
        )

    def verdict(self) -> str:
        """Return the end of the story, in one sentence."""
        shop = self.shop
        if not self.protected:
            if shop.orders_lost or shop.answers_5xx:
                return (
                    f"Overrun: the shop lost {shop.orders_lost} of the {shop.orders_placed + shop.orders_lost} orders "
                    f"it had accepted, and answered {shop.answers_5xx} times with an error."
                )
            return "The shop bore this crowd; send a larger one."
        if self.kept:
            return f"Kept: no order lost, no error shown, and never more than {shop.peak_active} inside at once."
        return "Broken: " + ", ".join(f"{row.name} {row.value}" for row in self.rows() if row.kept is False) + "."

    def as_json(self) -> dict[str, Any]:
        """Return all figures for a program."""
        tally = self.tally
        return {
            "protected": self.protected,
            "promises_kept": self.kept if self.protected else None,
            "limits": {"rate": self.rate, "capacity": self.capacity},
            "seed": self.seed,
            "shop": asdict(self.shop),
            "waits_seconds": {
                "p50": percentile(tally.waits_seconds, 0.5),
                "p95": percentile(tally.waits_seconds, 0.95),
            },
            "crowd": {
                "shoppers": tally.shoppers,
                "ordered": tally.stages[Stage.ORDERED],
                "left": {reason.value: count for reason, count in sorted(tally.reasons.items())},
                "errors_seen": tally.errors_seen,
            },
        }


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least `share` of them do not exceed (nearest rank); None of no values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"
