"""The console of a real `waitroom serve` in a real browser: what an operator does in a sale, and what shoppers see of it.

Each journey has a room of its own; all rooms are of one Waitroom.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright, expect

from tests.journeys.browser_setup import browser as browser_path
from tests.journeys.operators import Operator, operator
from tests.journeys.stage import ADMIN_TOKEN, PATIENT_MS, Visitor, on_site, serving, visitors
from tests.journeys.witness import ask, told_api, witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.journeys.stage import Serving

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

ROOMS = {
    "calm": {"capacity": 1}, "flow": {"rate": 60, "burst": 1}, "both": {"capacity": 1}, "words": {"capacity": 1},
    "code": {"capacity": 1}, "sale": {"capacity": 5}, "typed": {"capacity": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    directory = tmp_path_factory.mktemp("console")
    async with witness() as site:
        lines = [
            "[gateway]", f'backend = "{site.url}"', "port = 0", "drain_seconds = 2",
            "[store]", 'url = "embedded"', f"deadline_ms = {PATIENT_MS}",
            "[admin]", "port = 0", f'token = "{ADMIN_TOKEN}"',
        ]  # fmt: skip
        for name, settings in ROOMS.items():
            lines += ["[[rooms]]", f'name = "{name}"', f'match = ["/{name}/*"]', 'shop_name = "Maison"']
            lines += [f"{key} = {json.dumps(value)}" for key, value in ({"rate": 6_000} | settings).items()]
        config = directory / "waitroom.toml"
        config.write_text("\n".join(lines) + "\n")
        with serving(config, directory) as serve:
            yield serve


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=browser_path(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def dana_logged_in(running: Serving, browser: Browser) -> AsyncIterator[Operator]:
    async with operator(browser, running, "dana") as dana:
        yield dana


@pytest.fixture
async def dana(dana_logged_in: Operator) -> AsyncIterator[Operator]:
    """An operator who is there in every journey; each has complaints of its own."""
    yield dana_logged_in
    complaints, dana_logged_in.complaints = dana_logged_in.complaints, []
    assert complaints == []


@asynccontextmanager
async def held(running: Serving, room: str) -> AsyncIterator[None]:
    """Hold the one slot of a room, so that everybody else waits."""
    async with Visitor("127.0.0.1", running.port) as buyer:
        assert on_site(await buyer.navigate(f"/{room}/"))
        yield


@asynccontextmanager
async def shopper(browser: Browser, running: Serving, path: str, locale: str = "en-GB") -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 390, "height": 780}, locale=locale)
    try:
        page = await context.new_page()
        await page.goto(running.url + path)
        yield page
    finally:
        await context.close()


async def says(page: Page, selector: str, text: str | re.Pattern[str], *, seconds: float = 20) -> None:
    await expect(page.locator(selector)).to_contain_text(text, timeout=seconds * 1000)


async def test_the_printed_link_lets_the_first_operator_in_once(running: Serving, browser: Browser) -> None:
    said = re.search(r"http://\S+/welcome\?link=\S+", running.log.read_text())
    assert said
    context = await browser.new_context()
    first = Operator(context, await context.new_page(), running.admin_url)
    await first.opens("/")
    await says(first.page, "h1", "Waitroom")
    await first.page.goto(said[0])
    await says(first.page, "main", "You are admin (admin)")
    await first.sets_password(said[0])
    await says(first.page, ".top", "admin (admin)")
    await says(first.page, "h1", "Rooms")
    await expect(first.page.locator("a.room")).to_have_count(len(ROOMS))
    await first.page.click("text=Log out")
    await first.logs_in("admin")
    await first.page.click('a.room[data-room="calm"]')
    await says(first.page, "h1", "calm")
    await says(first.page, "#age", "live")
    assert first.complaints == []
    await first.page.goto(said[0])
    await says(first.page, "h1", "This link is used or too old")
    await context.close()


async def test_pausing_and_resuming_by_keyboard_is_told_within_two_seconds_to_all_who_wait(
    running: Serving, browser: Browser, dana: Operator
) -> None:
    async with held(running, "calm"):
        joined = asyncio.Semaphore(20)

        async def joins() -> None:
            async with joined:
                answer = await ask(running.port, "/.waitroom/calm/join", "accept: application/json", method="POST")
                assert json.loads(answer.body)["state"] == "waiting"

        await asyncio.gather(*(joins() for _ in range(499)))
        async with shopper(browser, running, "/calm/shoes") as page:
            await says(page, "#position", "500")
            await pauses_and_resumes(running, dana, page)


async def pauses_and_resumes(running: Serving, dana: Operator, waiting: Page) -> None:
    await dana.opens("/rooms/calm")
    await says(dana.page, '[data-figure="waiting"]', "500")
    await says(dana.page, '[data-figure="queueing"]', "Queueing")
    assert (await told_api(running, "GET", "/rooms/calm"))["census"]["waiting"] == 500

    # A letter in a text is a letter.
    await dana.page.fill("textarea >> nth=0", "")
    await dana.page.locator("textarea >> nth=0").press_sequentially("pr")
    assert (await told_api(running, "GET", "/rooms/calm"))["mode"] == "on"
    await dana.page.locator("h1").click()

    late = 0
    for key, title, pill in 2 * (("p", "Entry is paused", "Paused"), ("r", "You are in the queue", "Queueing")):
        await dana.page.keyboard.press(key)
        pressed = time.monotonic()
        await says(waiting, "#title", title)
        late += time.monotonic() - pressed > 2
        await says(dana.page, '[data-figure="queueing"]', pill)
    assert late < 4  # a machine that tests run on may be slow, but not by what is built
    assert (await told_api(running, "GET", "/rooms/calm"))["census"]["waiting"] == 500
    log = (await told_api(running, "GET", "/audit?room=calm"))["changes"]
    assert [(line["who"], line["action"]) for line in log[:2]] == [("dana", "resume"), ("dana", "pause")]


async def rows(page: Page, chart: str) -> list[tuple[int, dict[str, float | None]]]:
    """Return the rows of the table behind a chart, newest first: of which second of the day, and the numbers."""
    names = await page.locator(f"#{chart} details thead th").all_inner_texts()
    cells = await page.locator(f"#{chart} details tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    )
    return [(second_of(at), dict(zip(names[1:], map(number_of, row), strict=True))) for at, *row in cells]


def number_of(text: str) -> float | None:
    return None if text == "—" else float(text.replace(",", ""))


def second_of(clock: str) -> int:
    hours, minutes, seconds = map(int, clock.split(":"))
    return (hours * 60 + minutes) * 60 + seconds


async def test_a_new_rate_is_real_on_the_chart_within_five_seconds(running: Serving, dana: Operator) -> None:
    async with visitors(running.port, 200) as crowd, asyncio.TaskGroup() as group:
        shopping = [group.create_task(visitor.enter("/flow/", poll_seconds=1.0)) for visitor in crowd]
        await dana.opens("/rooms/flow")
        await says(dana.page, '[data-figure="waiting"]', re.compile(r"^\s*1[5-9]\d"), seconds=60)
        await dana.page.click("#flow summary")
        async with asyncio.timeout(60):
            while not 0 < ((await rows(dana.page, "flow"))[0][1]["admitted"] or 0) <= 66:
                await asyncio.sleep(0.1)
        await dana.page.fill("input[name=rate] >> nth=0", "600")
        await says(
            dana.page, '[data-forecast="rate"] .forecast', re.compile(r"At 600, (how long )?the last of \d+ waits")
        )
        await dana.page.click("text=Set the rate")
        await says(dana.page, ".warn", "10.0 times the rate")
        await dana.page.click("text=Do it")
        await says(dana.page, '[data-figure="rate"]', "600")
        applied_ms = (await told_api(running, "GET", "/audit?room=flow"))["changes"][0]["at_ms"]
        applied = second_of(await dana.page.evaluate("at => new Date(at).toLocaleTimeString('en-GB')", applied_ms))
        await dana.page.click("#flow summary")
        real: list[int] = []
        async with asyncio.timeout(60):
            while not real:
                await asyncio.sleep(0.1)
                told = await rows(dana.page, "flow")
                real = [at for at, row in told if row["rate set"] == 600 and (row["admitted"] or 0) >= 240]
        assert (real[-1] - applied) % 86_400 <= 5
        await expect(dana.page.locator("#flow .u-legend .u-label")).to_have_text(
            ["Time", "arrivals", "admitted", "rate set", "missed"]
        )
        for task in shopping:
            task.cancel()


async def test_who_is_slower_hears_who_was_faster_and_may_still_do_theirs(
    running: Serving, browser: Browser, dana: Operator
) -> None:
    async with operator(browser, running, "tom") as tom:
        await dana.opens("/rooms/both")
        await tom.opens("/rooms/both")
        await tom.page.fill("input[name=rate] >> nth=0", "4000")
        await tom.page.fill("[data-forecast=rate] [name=reason]", "the shop is slow")
        await dana.page.fill("input[name=rate] >> nth=0", "5000")
        await dana.page.click("text=Set the rate")
        await says(dana.page, ".done", "Done")
        await says(tom.page, "#behind", "dana")
        async with tom.page.expect_response(lambda answer: answer.url.endswith("/do/rate")) as answered:
            await tom.page.click("text=Set the rate")
        assert (await answered.value).status == 412
        await says(tom.page, "main", re.compile(r"dana: change: rate 6,?000 → 5,?000"))
        await tom.page.click("text=Do mine all the same")
        await says(tom.page, '[data-figure="rate"]', "4,000")
        await says(tom.page, ".log", "the shop is slow")
        assert (await told_api(running, "GET", "/rooms/both"))["room"]["rate"] == 4000


async def test_a_message_in_two_languages_is_read_in_both_and_taken_back(
    running: Serving, browser: Browser, dana: Operator
) -> None:
    async with (
        held(running, "words"),
        shopper(browser, running, "/words/") as english,
        shopper(browser, running, "/words/", "he-IL") as hebrew,
    ):
        await dana.opens("/rooms/words")
        await dana.page.fill('[name="text.*"]', "Sizes 38 and 40 are sold out.")
        await dana.page.select_option("[name=language]", "he")
        await dana.page.fill("[name=in_language]", "המידות 38 ו־40 אזלו.")
        async with dana.context.expect_page() as opening:
            await dana.page.click('button:has-text("Preview")')
        preview = await opening.value
        for number, text in enumerate(("Sizes 38 and 40 are sold out.", "המידות 38 ו־40 אזלו.")):
            shown = preview.frame_locator(f"iframe >> nth={number}")
            await expect(shown.locator("#message p")).to_have_text(text)
        await preview.close()
        await expect(english.locator("#message")).to_be_hidden()
        await dana.page.click("text=Say it")
        await says(dana.page, ".done", "Done")
        await says(english, "#message p", "Sizes 38 and 40 are sold out.")
        await says(hebrew, "#message p", "המידות 38 ו־40 אזלו.")
        await dana.page.fill('[name="text.*"]', "")
        await dana.page.fill('[name="text.he"]', "")
        await dana.page.click("text=Say it")
        await expect(english.locator("#message")).to_be_hidden()
        await expect(hebrew.locator("#message")).to_be_hidden()


async def test_a_visitor_is_found_by_the_code_on_their_page(running: Serving, browser: Browser, dana: Operator) -> None:
    async with (
        held(running, "code"),
        operator(browser, running, "vera", role="viewer") as vera,
        shopper(browser, running, "/code/") as first,
        shopper(browser, running, "/code/") as second,
    ):
        await says(first, "#position", "next")
        await says(second, "#position", "2")
        code = await second.locator("#short").inner_text()
        await vera.opens("/rooms/code")
        await vera.page.click("text=Find a visitor")
        await vera.page.fill("[name=code]", code.lower())
        await vera.page.keyboard.press("Enter")
        await says(vera.page, "#story", code)
        await says(vera.page, "main", "Now: waiting, position 2")
        await says(vera.page, ".log", "got a place in the queue")
        await expect(vera.page.locator("text=Put at the front")).to_have_count(0)

        await dana.opens(f"/rooms/code/visitors?code={code}")
        await dana.page.fill("[name=reason]", "lost their place by a fault of ours")
        await dana.page.click("text=Put at the front")
        await says(dana.page, "main", "position 1")
        await says(second, "#position", "next")


async def test_a_room_is_made_by_keyboard_without_script_and_shoppers_wait_in_it(
    running: Serving, browser: Browser
) -> None:
    small = {"viewport": {"width": 320, "height": 640}, "java_script_enabled": False}
    async with operator(browser, running, "ada", role="admin", **small) as ada:
        keyboard = ada.page.keyboard
        await ada.page.locator("summary", has_text="Make a room").focus()
        await keyboard.press("Enter")
        for typed in ("Flash", "/flash/*", "0", "", "Maison"):
            await keyboard.press("Tab")
            await keyboard.type(typed)
        await keyboard.press("Enter")
        await says(ada.page, "#wrong-name", "lower-case letters")
        assert await ada.page.input_value("[name=match]") == "/flash/*"
        await ada.page.locator("[name=name]").focus()
        await keyboard.press("ControlOrMeta+A")
        await keyboard.type("flash")
        await keyboard.press("Enter")
        await says(ada.page, "h1", "flash")
        async with Visitor("127.0.0.1", running.port) as visitor, asyncio.timeout(60):
            while on_site(answer := await visitor.navigate("/flash/")):
                await asyncio.sleep(0.2)  # until the gateway has heard of the room
            assert b"Maison" in answer.body
        await ada.page.locator("summary", has_text="Danger").focus()
        await keyboard.press("Enter")
        await ada.page.click("text=Remove the room")
        await ada.page.fill("[name=confirmed]", "flash")
        await keyboard.press("Enter")
        await says(ada.page, "h1", "Rooms")
        await expect(ada.page.locator('a.room[data-room="flash"]')).to_have_count(0)


async def test_the_report_is_read_offline_and_asks_for_nothing(
    running: Serving, browser: Browser, dana: Operator, tmp_path: Path
) -> None:
    async with held(running, "sale"):
        await dana.opens("/rooms/sale")
        await dana.page.keyboard.press("p")
        await says(dana.page, '[data-figure="queueing"]', "Paused")
        await asyncio.sleep(2.5)  # for some points on the charts
        async with dana.page.expect_download() as downloading:
            await dana.page.click("text=Report")
        download = await downloading.value
        assert re.fullmatch(r"waitroom-report-sale-[\dTZ-]+\.html", download.suggested_filename)
        kept = tmp_path / download.suggested_filename
        await download.save_as(kept)
    context = await browser.new_context(offline=True)
    page = await context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(kept.as_uri())
    await says(page, "h1", "sale")
    await says(page, "table", "dana: pause")
    assert await page.locator("svg .line").count() > 5
    assert asked == [kept.as_uri()]
    assert complaints == []
    await context.close()


async def test_a_session_that_ends_in_mid_change_loses_nothing_typed(running: Serving, browser: Browser) -> None:
    async with operator(browser, running, "lea") as lea:
        page = lea.page
        await lea.opens("/rooms/typed")
        await says(page, "#age", "live")
        await page.fill("input[name=rate] >> nth=0", "3000")
        await page.fill("[data-forecast=rate] [name=reason]", "slow pages")
        await told_api(running, "POST", "/accounts/lea/role", {"role": "admin"})  # ends her sessions

        # Sent before anything was noticed: the change comes along through the log-in.
        await page.click("text=Set the rate")
        await says(page, ".error", "Your session is over")
        await lea.logs_in("lea")
        await says(page, "main", "slow pages")
        assert (await told_api(running, "GET", "/rooms/typed"))["room"]["rate"] == 6000
        await page.click("text=Do it now")
        await says(page, ".log", "slow pages")
        assert (await told_api(running, "GET", "/rooms/typed"))["room"]["rate"] == 3000

        # Noticed while typing: the log-in opens beside, and the page goes on with what stands in it.
        await page.fill('[name="text.*"]', "Back at ten")
        await told_api(running, "POST", "/accounts/lea/role", {"role": "operator"})
        await says(page, "#behind", "Your session is over", seconds=40)
        async with lea.context.expect_page() as opening:
            await page.click("text=Log in (in a new tab)")
        beside = Operator(lea.context, await opening.value, lea.url)
        await beside.logs_in("lea")
        await says(beside.page, "h1", "lea")
        await says(page, "#age", "live", seconds=40)
        assert await page.input_value('[name="text.*"]') == "Back at ten"
        await page.click("text=Say it")
        await says(page, ".done", "Done")
        assert (await told_api(running, "GET", "/rooms/typed"))["room"]["message"] == {"*": "Back at ten"}
