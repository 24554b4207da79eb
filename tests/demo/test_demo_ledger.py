"""The shop's own counts."""

from __future__ import annotations

from waitroom.demo.ledger import BusiestWindow, Ledger


def test_the_busiest_window_is_found_wherever_it_begins() -> None:
    window = BusiestWindow(60)
    for moment in (0, 50, 55, 59.9, 60, 61, 115.1, 300):
        window.add(moment)
    # From just after 0 up to 60 and from 50 to 110 alike, never counting the one exactly 60 s earlier.
    assert window.most == 5


def test_an_event_exactly_one_window_ago_is_no_longer_in_it() -> None:
    window = BusiestWindow(60)
    window.add(0)
    window.add(60)
    assert window.most == 1


def test_a_session_is_active_from_its_first_request_until_it_is_finished() -> None:
    ledger = Ledger(idle_seconds=10)
    ledger.begin("a", 0)
    ledger.begin("b", 1)
    assert ledger.figures(1).active == 2
    ledger.finish("a")
    ledger.end("a", 2, 200)
    figures = ledger.figures(2)
    assert (figures.active, figures.peak_active, figures.entries, figures.requests) == (1, 2, 2, 2)


def test_a_silent_session_ends_after_the_idle_time_and_not_before() -> None:
    ledger = Ledger(idle_seconds=10)
    ledger.begin("a", 0)
    ledger.end("a", 1, 200)
    assert ledger.session("a", 10.9) is not None
    assert ledger.session("a", 11) is None


def test_a_session_whose_page_still_loads_is_not_silent() -> None:
    ledger = Ledger(idle_seconds=10)
    ledger.begin("slow", 0)
    ledger.begin("quick", 0)
    ledger.end("quick", 0, 200)
    assert ledger.figures(30).active == 1
    ledger.end("slow", 31, 200)
    assert ledger.figures(40).active == 1
    assert ledger.figures(41).active == 0


def test_whoever_comes_back_after_the_end_is_a_new_entry() -> None:
    ledger = Ledger(idle_seconds=10)
    for moment in (0, 5, 30):
        ledger.begin("a", moment)
        ledger.end("a", moment, 200)
    assert ledger.figures(30).entries == 2


def test_orders_and_errors_are_counted_apart() -> None:
    ledger = Ledger(idle_seconds=10)
    ledger.begin("a", 0)
    ledger.end("a", 0, 503)
    ledger.begin("a", 0)
    ledger.end("a", 0, 404)
    ledger.order_placed()
    ledger.order_lost()
    ledger.order_lost()
    figures = ledger.figures(0)
    assert (figures.answers_5xx, figures.orders_placed, figures.orders_lost) == (1, 1, 2)
