"""`waitroom demo`: a toy shop, a crowd, and Waitroom between them."""

from __future__ import annotations

import click

from ..demo import ARRIVE_SECONDS, CAPACITY, MOST_SHOPPERS, RATE, SEED, SHOPPERS


@click.command("demo", short_help="See a shop with and without a waiting room.")
@click.option("--unprotected", is_flag=True, help="Send the same crowd straight at the shop.")
@click.option("--stay", is_flag=True, help="Leave it up to click around, until Ctrl-C.")
@click.option(
    "--shoppers",
    type=click.IntRange(1, MOST_SHOPPERS),
    default=SHOPPERS,
    show_default=True,
    metavar="N",
    help="How many come.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 60, min_open=True),
    default=ARRIVE_SECONDS,
    show_default=True,
    metavar="N",
    help="Within how many seconds they come.",
)
@click.option(
    "--rate",
    type=click.IntRange(1, 1_000_000),
    default=RATE,
    show_default=True,
    metavar="N",
    help="Admitted per minute.",
)
@click.option(
    "--capacity",
    type=click.IntRange(1, 100_000),
    default=CAPACITY,
    show_default=True,
    metavar="N",
    help="Active at once.",
)
@click.option("--seed", type=int, default=SEED, show_default=True, metavar="N", help="Another seed is another crowd.")
@click.option(
    "--json", "json_path", metavar="FILE", help="Write the result as one JSON document; - is standard output."
)
def demo_command(
    *,
    unprotected: bool,
    stay: bool,
    shoppers: int,
    seconds: float,
    rate: int,
    capacity: int,
    seed: int,
    json_path: str | None,
) -> int:
    """See a shop with a real limit, and a crowd that is too much for it, with Waitroom between them."""
    from ..demo.run import main

    return main(
        unprotected=unprotected,
        stay=stay,
        shoppers=shoppers,
        arrive_seconds=seconds,
        rate=rate,
        capacity=capacity,
        seed=seed,
        json_path=json_path,
    )
