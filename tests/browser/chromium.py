"""Headless Chromium, driven by Playwright, and what the tests ask of a page: does the picture move, how late is it?

The browser is the machine's own: ``apt install chromium-headless-shell``, which draws the page without a window around it and so
needs half of the processor that ``chromium`` does, or the program that ``CHROMIUM`` names. It may connect to 127.0.0.1 only.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.wall_clock import CELL_HEIGHT, CELLS, CLOCK_BITS
from tests.processes import wait_until

ARTEFACTS = Path(__file__).parent.parent.parent / ".cache" / "browser"
"""Where the screenshots of a run are kept."""

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""Looked for in this order."""

LOOPBACK_ONLY = "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"

ARGUMENTS = (
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-domain-reliability",
    "--no-first-run",
    "--no-pings",
    f"--host-resolver-rules={LOOPBACK_ONLY}",
)

PICTURE = """() => {
    const video = document.querySelector("video");
    if (!video?.videoWidth) return null;
    const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 36});
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(video, 0, 0, 64, 36);
    return [...context.getImageData(0, 0, 64, 36).data].filter((_, index) => index % 4 === 1);
}"""
"""The picture that is shown, as 64 by 36 values of its green channel."""

DELAYS = """async ({count, cellCount, height, bitCount}) => {
    const video = document.querySelector("video");
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", {willReadFrequently: true});
    const isWhite = (row, index) => row[4 * Math.floor((index + 0.5) * canvas.width / cellCount)] > 127;
    function clock() {
        const width = video.videoWidth;
        Object.assign(canvas, {width, height});
        context.drawImage(video, 0, 0, width, height, 0, 0, width, height);
        const row = context.getImageData(0, height / 2, width, 1).data;
        const cells = Array.from({length: cellCount}, (_, index) => Number(isWhite(row, index)));
        const bits = cells.slice(2, 2 + bitCount);
        const even = bits.reduce((sum, bit) => sum + bit, cells[2 + bitCount]) % 2 === 0;
        return cells[0] === 1 && cells[1] === 0 && even ? parseInt(bits.join(""), 2) : null;
    }
    const delays = [];
    while (delays.length < count) {
        await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
        const shown = clock();
        if (shown === null) continue;
        const modulus = 2 ** bitCount;
        delays.push(((Date.now() - shown) % modulus + modulus) % modulus);
    }
    return delays;
}"""
"""How many milliseconds old the next `count` pictures of `tests.browser.wall_clock` are when they are shown."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, "Chromium is missing: run tests/setup-machine.sh"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=[*ARGUMENTS])
        yield browser
        browser.close()


def watch_for_errors(page: Page, errors: list[str]) -> None:
    """Gather what a developer would see in red: uncaught errors, and violations of the Content-Security-Policy."""
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: _note_violation(message.text, errors))


def _note_violation(text: str, errors: list[str]) -> None:
    if "Content Security Policy" in text or "Content-Security-Policy" in text:
        errors.append(text)


def screenshot(page: Page, name: str) -> None:
    """Keep how the page looks as ``.cache/browser/<name>.png``."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def video(page: Page, property_name: str) -> Any:
    """A property of the page's video element."""
    return page.evaluate("(name) => document.querySelector('video')[name]", property_name)


def wait_for(page: Page, condition: Callable[[], object], what: str, timeout: float = 20) -> None:
    """Like `wait_until`, letting the browser's messages come in meanwhile; AssertionError with the page's own words."""

    def holds() -> object:
        page.wait_for_timeout(20)
        return condition()

    try:
        wait_until(holds, what, timeout)
    except AssertionError as error:
        words = page.locator("body").inner_text()
        raise AssertionError(f"{error}; the page says:\n{words[:3000]}") from None


def wait_for_moving_picture(page: Page, timeout: float = 20) -> None:
    """Return when the video element shows a picture, and then a clearly different one."""
    seen: list[list[int]] = []

    def moved() -> bool:
        picture = page.evaluate(PICTURE)
        if picture:
            seen.append(picture)
        return any(_differ(one, seen[-1]) for one in seen[:-1])

    wait_for(page, moved, "a picture that moves", timeout)


def delays(page: Page, count: int) -> list[int]:
    """How old the next `count` pictures of the wall clock are when they are shown, in milliseconds."""
    found: list[int] = page.evaluate(DELAYS, {"count": count, "cellCount": CELLS, "height": CELL_HEIGHT, "bitCount": CLOCK_BITS})
    return found


def _differ(one: list[int], other: list[int]) -> bool:
    """Whether two pictures are different ones of a moving scene, and not only noise."""
    changed = sum(abs(a - b) > 16 for a, b in zip(one, other, strict=True))
    spread = max(one) - min(one)
    return spread > 32 and changed > len(one) // 100
