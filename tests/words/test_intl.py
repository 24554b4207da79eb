"""The server and the page's script write the same: every row of the languages beside a real browser's `Intl`."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from waitroom.words.languages import LANGUAGES
from waitroom.words.texts import Language

pytestmark = pytest.mark.journey

NUMBERS = [
    *range(250),
    999,
    1_000,
    1_001,
    1_234,
    9_999,
    10_000,
    12_345,
    123_456,
    1_000_000,
    1_234_567,
    2_000_000,
    10_000_000,
]
AT_MS = 1_795_826_700_000  # 2026-11-28 00:45 UTC

ASK = """({locales, numbers, at}) => Object.fromEntries(locales.map(([tag, locale]) => {
  const rules = new Intl.PluralRules(locale), write = new Intl.NumberFormat(locale);
  const clock = new Intl.DateTimeFormat(locale, {hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC"});
  return [tag, {
    forms: numbers.map((n) => rules.select(n)), written: numbers.map((n) => write.format(n)), clock: clock.format(at),
    direction: new Intl.Locale(tag).getTextInfo?.().direction ?? new Intl.Locale(tag).textInfo.direction,
    numbering: new Intl.NumberFormat(tag).resolvedOptions().numberingSystem,
  }];
}))"""


@pytest.fixture(scope="module")
def intl() -> dict[str, Any]:
    locales = [(tag, Language(tag, {}).locale) for tag in LANGUAGES]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        found: dict[str, Any] = browser.new_page().evaluate(ASK, {"locales": locales, "numbers": NUMBERS, "at": AT_MS})
        browser.close()
    return found


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_browser_agrees_with_the_row(intl: dict[str, Any], tag: str) -> None:
    row = LANGUAGES[tag]
    theirs = intl[tag]
    assert theirs["forms"] == [row.form(n) for n in NUMBERS]
    assert theirs["written"] == [row.number(n) for n in NUMBERS]
    assert theirs["clock"] + " UTC" == Language(tag, {}).time(AT_MS)
    assert theirs["direction"] == row.direction
    assert theirs["numbering"] == row.numbering
