"""The dashboard: what is live, what is configured, what happens, and a console for every command."""

import json
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.browser.chromium import screenshot, wait_for, wait_for_moving_picture
from tests.browser.pages import PAGES
from tests.browser.site import Site
from tests.processes import Child

EVIL_NAME = "<img src=x onerror=alert(1)>"


def stream_object(number: int, name: str) -> dict[str, Any]:
    """A stream as the API describes it, of which the dashboard shows something."""
    return {
        "name": name,
        "uniqueId": number,
        "type": "INR",
        "creationTimestamp": 1_700_000_000_000 + number,
        "queryTimestamp": 1_700_000_100_000 + number,
        "upTime": 100_000 + number,
        "audio": {"codec": "AAAC", "bytesCount": 1000},
        "video": {"codec": "VH264", "bytesCount": 100_000, "width": 1280, "height": 720},
        "outStreamsUniqueIds": [],
        "farIp": "192.0.2.1",
        "farPort": 1024 + number,
    }


def answer_with(page: Page, command: str, data: Any) -> None:
    """Have a command answer something else than the server would."""
    reply = json.dumps({"data": data, "description": "", "status": "SUCCESS"})

    def answer(route: Route) -> None:
        route.fulfill(body=reply, content_type="application/json")

    page.route(f"**/api/{command}", answer)


def test_streams_are_shown_as_they_come_and_go(page: Page, site: Site, wall_clock: Callable[..., Child]) -> None:
    """A stream is in the list with its tracks and its bit rate moments after it began, and gone moments after it ended."""
    page.goto(site.address)
    demo = page.get_by_role("button", name="demo")
    expect(demo).to_contain_text("H.264 1280×720 · AAC", timeout=15_000)
    expect(demo).to_contain_text("Mbit/s", timeout=15_000)
    publisher = wall_clock("camera-7")
    camera = page.get_by_role("button", name="camera-7")
    expect(camera).to_contain_text("kbit/s", timeout=15_000)
    expect(page.locator("#total-streams")).to_have_text("2")
    page.wait_for_timeout(6000)
    screenshot(page, "streams")
    publisher.stop()
    expect(camera).to_have_count(0, timeout=15_000)


def test_a_stream_plays_in_the_dashboard(page: Page, site: Site) -> None:
    """A click on a stream plays it, over WebSocket or over HLS where a group has it; Escape closes the player."""
    site.wait_for_stream("demo")
    site.create_hls("demo", "show")
    page.goto(site.address)
    page.get_by_role("button", name="demo").click(timeout=15_000)
    wait_for_moving_picture(page, 30)
    expect(page.locator("#panel-state")).to_have_text("playing")
    expect(page.locator("#panel-facts")).to_contain_text("1280×720")
    screenshot(page, "panel")
    page.select_option("#panel-source", "hls:show")
    expect(page.locator("#panel-playback")).to_contain_text("1280×720", timeout=30_000)
    wait_for_moving_picture(page, 30)
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()


def test_jobs_tell_their_state_and_reason(page: Page, site: Site) -> None:
    """A pull that fails is listed with what it does and why it does not work."""
    site.api("pullStream", uri="rtmp://127.0.0.1:1/live/nothing", localStreamName="far", keepAlive="1")
    page.goto(f"{site.address}#jobs")
    job = page.locator(".job")
    expect(job).to_contain_text("rtmp://127.0.0.1:1/live/nothing", timeout=15_000)
    expect(job).to_contain_text("refused", timeout=15_000, ignore_case=True)
    screenshot(page, "jobs")


def test_events_appear_as_they_happen(page: Page, site: Site, wall_clock: Callable[..., Child]) -> None:
    """The log shows a stream that comes, with all that is known of it for who opens the entry."""
    page.goto(f"{site.address}#events")
    expect(page.locator("#events-state")).to_have_text("live", timeout=15_000)
    wall_clock("camera")
    entry = page.locator(".event", has_text="inStreamCreated").filter(has_text="camera")
    expect(entry).to_have_count(1, timeout=15_000)
    entry.locator("summary").click()
    expect(entry.locator("pre")).to_contain_text('"name": "camera"')
    screenshot(page, "events")
    page.fill("#events-filter", "no such event")
    expect(page.locator(".event:visible")).to_have_count(0)


def test_the_console_runs_a_command(page: Page, site: Site) -> None:
    """A command is found, its form says what it takes, and its answer is shown; a mistake is told in the server's words."""
    site.wait_for_stream("demo")
    page.goto(f"{site.address}#api")
    page.fill("#console-search", "isStreamRunning")
    page.get_by_role("link", name="isStreamRunning").click()
    page.fill("#parameter-localStreamName", "demo")
    expect(page.locator("#console-call")).to_contain_text('{"localStreamName":"demo"}')
    page.click("#console-run")
    expect(page.locator("#console-status")).to_have_text("SUCCESS")
    expect(page.locator("#console-data")).to_contain_text('"Running": true')
    screenshot(page, "console")
    page.fill("#parameter-localStreamName", "")
    page.click("#console-run")
    expect(page.locator("#console-status")).to_have_text("FAIL")


def test_the_console_knows_types_and_defaults(page: Page, site: Site) -> None:
    """The form has a field of the right kind for each parameter, the needed ones first, and an address can fill it in."""
    page.goto(f"{site.address}#api/createHLSStream?targetFolder=webroot&playlistType=rolling")
    expect(page.locator("#console-title")).to_have_text("createHLSStream", timeout=15_000)
    assert page.locator("#console-fields label").first.inner_text().startswith("localStreamNames")
    assert page.input_value("#parameter-targetFolder") == "webroot"
    assert page.input_value("#parameter-playlistType") == "rolling"
    assert page.get_attribute("#parameter-chunkLength", "placeholder") == "10"
    assert page.locator("#parameter-keepAlive option").all_inner_texts() == ["not given", "true", "false"]


def test_five_hundred_streams_are_no_burden(page: Page, site: Site) -> None:
    """With 500 streams the page has only the rows in sight, scrolls to the last one, and finds one by its name."""
    answer_with(page, "listInboundStreams", [stream_object(number, f"camera {number}") for number in range(1, 501)])
    page.goto(site.address)
    expect(page.locator("#streams-count")).to_have_text("500 live", timeout=15_000)
    expect(page.locator(".row").first).to_contain_text("camera 1")
    assert page.locator(".row").count() < 40
    screenshot(page, "streams-500")
    page.evaluate("document.querySelector('#streams-viewport').scrollTop = 1e6")
    expect(page.get_by_role("button", name="camera 500")).to_be_visible()
    page.fill("#streams-filter", "camera 250")
    expect(page.locator(".row")).to_have_count(1)
    assert page.get_attribute(".row", "aria-setsize") == "1"
    busy = page.evaluate(BUSY)
    assert busy < 50, f"an answer with 500 streams keeps the page busy for {busy} ms"


BUSY = """async () => {
    const { RateHistory } = await import("/js/rate-history.js");
    const streams = (await (await fetch("/api/listInboundStreams", {method: "POST"})).json()).data;
    const history = new RateHistory();
    const began = performance.now();
    for (let round = 1; round <= 10; round += 1) {
        history.update(streams.map((stream) => ({...stream, queryTimestamp: stream.queryTimestamp + round})));
        history.total();
    }
    return (performance.now() - began) / 10;
}"""
"""Milliseconds that the page needs to take in one answer."""


def test_what_the_server_tells_is_text(page: Page, site: Site) -> None:
    """A stream, a job or an event that is called like markup is shown by that name, and nothing of it runs."""
    ran: list[str] = []
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    answer_with(page, "listInboundStreams", [stream_object(1, EVIL_NAME)])
    job = {"configId": 1, "uri": EVIL_NAME, "localStreamName": EVIL_NAME, "status": {"current": {"code": 2, "reason": EVIL_NAME}}}
    answer_with(page, "listConfig", {"pull": [job], EVIL_NAME: [job]})
    event = f"data: {json.dumps({'id': 1, 'type': EVIL_NAME, 'payload': {'name': EVIL_NAME}})}\n\n"
    page.route("**/api/events", lambda route: route.fulfill(body=event, content_type="text/event-stream"))
    page.goto(site.address)
    expect(page.get_by_role("button", name=EVIL_NAME)).to_be_visible(timeout=15_000)
    page.get_by_role("button", name=EVIL_NAME).click()
    expect(page.locator("#panel-title")).to_have_text(EVIL_NAME)
    page.keyboard.press("Escape")
    for view, place in (("jobs", ".job"), ("events", ".event")):
        page.goto(f"{site.address}#{view}")
        expect(page.locator(place).first).to_contain_text(EVIL_NAME)
    page.locator(".event summary").first.click()
    assert page.locator("img:not([src='favicon.svg'])").count() == 0
    assert ran == []


def test_an_empty_server_says_what_to_do(page: Page, site: Site) -> None:
    """Where there is nothing to show, the page says so, and how to change that."""
    answer_with(page, "listInboundStreams", [])
    page.goto(site.address)
    expect(page.locator("#streams-empty")).to_contain_text("No stream is live", timeout=15_000)
    expect(page.locator("#streams-empty")).to_contain_text(f"rtmp://127.0.0.1:{site.ports['inboundRtmp']}/live/")
    screenshot(page, "streams-none")


def test_answers_that_break_off_do_not_stop_the_page(page: Page, site: Site) -> None:
    """When a connection ends in the middle of an answer the page says that there is trouble, asks again, and goes on."""
    page.add_init_script(BREAK_OFF)
    page.goto(site.address)
    expect(page.locator("#trouble")).to_contain_text("does not answer", timeout=15_000)
    page.evaluate("window.breaksOff = false")
    expect(page.get_by_role("button", name="demo")).to_be_visible(timeout=15_000)
    expect(page.locator("#trouble")).to_be_hidden()


BREAK_OFF = """
    const text = Response.prototype.text;
    window.breaksOff = true;
    Response.prototype.text = function () {
        return window.breaksOff ? Promise.reject(new TypeError("network error")) : text.call(this);
    };
"""
"""The head of an answer comes, and then nothing."""


def test_a_server_that_is_gone_is_told_and_comes_back(page: Page, site: Site) -> None:
    """While the server does not answer the page says so, keeps what it knows, and goes on when the server is back."""
    page.goto(site.address)
    expect(page.get_by_role("button", name="demo")).to_be_visible(timeout=15_000)
    site.kill()
    expect(page.locator("#trouble")).to_contain_text("does not answer", timeout=15_000)
    screenshot(page, "server-gone")
    site.start_again()
    expect(page.locator("#trouble")).to_be_hidden(timeout=30_000)


def test_who_may_not_use_the_api_is_told_how_to(page: Page, site: Site) -> None:
    """From another machine, without a login, the page explains what the server's owner can do."""
    page.route("**/api/**", lambda route: route.fulfill(status=403, body="<p>Forbidden</p>", content_type="text/html"))
    page.goto(site.address)
    expect(page.locator("#trouble")).to_contain_text("apiProxy", timeout=15_000)


def test_it_fits_a_phone(new_page: Callable[..., Page], site: Site) -> None:
    """On a phone nothing is wider than the screen, in any view, light or dark."""
    page = new_page(viewport={"width": 375, "height": 720}, has_touch=True, color_scheme="dark")
    answer_with(page, "listInboundStreams", [stream_object(n, f"a camera with a long name {n}") for n in range(20)])
    page.goto(site.address)
    expect(page.locator(".row").first).to_be_visible(timeout=15_000)
    for view in ("streams", "jobs", "events", "api/createHLSStream"):
        page.goto(f"{site.address}#{view}")
        page.wait_for_timeout(300)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 375, view
        screenshot(page, f"phone-{view.partition('/')[0]}")
    page.goto(f"{site.address}#streams")
    page.locator(".stream").first.tap()
    wait_for(page, lambda: page.locator("#panel").is_visible(), "the panel")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 375
    screenshot(page, "phone-panel")


def test_it_can_be_used_with_the_keyboard(page: Page, site: Site) -> None:
    """Tab reaches a stream, Enter opens it, Escape closes it, and the focus is back where it was."""
    site.wait_for_stream("demo")
    page.goto(site.address)
    row = page.get_by_role("button", name="demo")
    expect(row).to_be_visible(timeout=15_000)
    page.focus("#streams-order")
    page.keyboard.press("Tab")
    while not row.evaluate("(one) => one === document.activeElement"):
        assert page.evaluate("document.activeElement !== document.body"), "Tab has not reached the stream"
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_visible()
    page.keyboard.press("Escape")
    assert row.evaluate("(one) => one === document.activeElement")


def test_every_control_has_a_name(page: Page, site: Site) -> None:
    """A screen reader can tell what each field and button is for."""
    for path in ("", "#api/createHLSStream", "demo/evowsvideo.html?autoplay=0", "demo/evowsmeta.html"):
        page.goto(f"{site.address}{path}", wait_until="domcontentloaded")
        page.wait_for_timeout(500)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("input, select, textarea, button")]
                .filter((one) => !one.labels?.length && !one.textContent.trim() && !one.getAttribute("aria-label"))
                .map((one) => one.outerHTML)"""
        )
        assert nameless == [], path


def test_pages_keep_a_strict_content_security_policy() -> None:
    """No page has script or style inside its markup, and no script makes markup of texts."""
    for page in PAGES.glob("**/*.html"):
        markup = page.read_text("utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", markup), page
        if "<script" in markup:
            assert "Content-Security-Policy" in markup, page
            assert "unsafe" not in markup, page
    for script in (PAGES / "js").glob("*.js"):
        source = re.sub(r"^\s*//.*", "", script.read_text("utf-8"), flags=re.MULTILINE)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source), script
