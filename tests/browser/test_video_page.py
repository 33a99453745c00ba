"""The demonstration page that plays fragmented MP4 over WebSocket: it begins by itself, stays live, and gets over failures."""

import statistics
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import delays, screenshot, video, wait_for, wait_for_moving_picture
from tests.browser.site import Site
from tests.clips import PLAY_SECONDS
from tests.processes import Child

LONGEST_DELAY = 500
"""Milliseconds from the making of a picture to its showing that nobody has to bear."""

SETTLED = 50
"""Pictures after which a player that begins far behind has come near to the live edge: two seconds of them a few times."""


def open_page(page: Page, address: str) -> None:
    """Open a page that plays. Its ``load`` event waits for a video element that may have nothing to load for long."""
    page.goto(address, wait_until="domcontentloaded")


def state(page: Page) -> str:
    """What the page says of its player."""
    return page.inner_text("#state")


def test_it_plays_unattended(page: Page, site: Site) -> None:
    """Opening the page is enough: the picture is there in its size, moves, and misses nothing for as long as one watches."""
    site.wait_for_stream("demo")
    open_page(page, site.video_page("demo", debug="1"))
    wait_for_moving_picture(page)
    assert (video(page, "videoWidth"), video(page, "videoHeight")) == (1280, 720)
    wait_for(page, lambda: "pictures" in page.inner_text("#figures"), "figures")
    began, frames = video(page, "currentTime"), shown_pictures(page)
    page.wait_for_timeout(PLAY_SECONDS * 1000)
    played = video(page, "currentTime") - began
    assert PLAY_SECONDS - 0.5 < played < PLAY_SECONDS * 1.1 + 1, page.inner_text("#messages")
    assert shown_pictures(page) - frames > 0.95 * 30 * PLAY_SECONDS
    assert video(page, "muted") is True
    assert state(page) == "playing"
    assert page.inner_text("#messages").count("the stream is") == 1, "it has connected once"
    screenshot(page, "video")


def shown_pictures(page: Page) -> int:
    """How many pictures the browser has decoded and not thrown away."""
    quality = "document.querySelector('video').getVideoPlaybackQuality()"
    return int(page.evaluate(f"{quality}.totalVideoFrames - {quality}.droppedVideoFrames"))


def test_it_is_half_a_second_behind_at_most(page: Page, site: Site, wall_clock: Callable[..., Child]) -> None:
    """From the encoder to the screen, through RTMP, the server and the browser, it takes less than 500 ms."""
    wall_clock("clock")
    open_page(page, site.video_page("clock"))
    wait_for_moving_picture(page)
    delays(page, SETTLED)
    measured = delays(page, 25 * min(PLAY_SECONDS, 60))
    print(f"delay in ms: median {statistics.median(measured):.0f}, {min(measured)} to {max(measured)}")
    screenshot(page, "video-delay")
    assert statistics.median(measured) < LONGEST_DELAY, measured


def test_it_waits_for_a_stream_that_is_not_there_yet(page: Page, site: Site, wall_clock: Callable[..., Child]) -> None:
    """Who comes too early sees the stream as soon as it begins."""
    open_page(page, site.video_page("later"))
    wait_for(page, lambda: "waiting" in state(page) or "again" in state(page), "the page to wait")
    assert "NaN" not in page.inner_text("body")
    wall_clock("later")
    wait_for_moving_picture(page)


def test_it_gets_over_a_source_that_comes_back(page: Page, site: Site, wall_clock: Callable[..., Child]) -> None:
    """A camera that is switched off and on again, and has another resolution then, goes on in the same page."""
    first = wall_clock("camera")
    open_page(page, site.video_page("camera", debug="1"))
    wait_for_moving_picture(page)
    first.stop()
    wait_for(page, lambda: "camera" not in site.stream_names(), "the stream to end")
    wall_clock("camera", "320x192")
    wait_for(page, lambda: video(page, "videoWidth") == 320, "the new picture", 30)
    wait_for_moving_picture(page)
    wait_for(page, lambda: state(page) == "playing", "the page to say that it plays")


def test_it_gets_over_a_restart_of_the_server(page: Page, site: Site) -> None:
    """The server is cut off and comes back: so does the picture, without a hand on the page."""
    site.wait_for_stream("demo")
    open_page(page, site.video_page("demo", debug="1"))
    wait_for_moving_picture(page)
    site.kill()
    wait_for(page, lambda: "again in" in state(page), "the page to notice")
    screenshot(page, "video-retrying")
    site.start_again()
    wait_for(page, lambda: state(page) == "playing", "playing", 30)
    wait_for_moving_picture(page)


def test_a_pause_goes_on_at_the_live_edge(page: Page, site: Site, wall_clock: Callable[..., Child]) -> None:
    """Whoever pauses and goes on later sees what happens now, and the server has sent nothing meanwhile."""
    wall_clock("clock")
    open_page(page, site.video_page("clock"))
    wait_for_moving_picture(page)
    page.evaluate("document.querySelector('video').pause()")
    wait_for(page, lambda: state(page) == "paused", "the pause")
    page.wait_for_timeout(1000)
    received = page.inner_text("#figures")
    page.wait_for_timeout(2000)
    assert "0 kbit/s" in page.inner_text("#figures"), received
    page.evaluate("document.querySelector('video').play()")
    wait_for_moving_picture(page)
    delays(page, SETTLED)
    assert statistics.median(delays(page, 25)) < 2 * LONGEST_DELAY


def test_stop_and_play(page: Page, site: Site) -> None:
    """The buttons do what they say, and the fields say what is played."""
    site.wait_for_stream("demo")
    open_page(page, site.video_page("nothing", autoplay="0"))
    assert page.input_value("#uri") == site.media()
    assert video(page, "currentSrc") == ""
    page.fill("#stream", "demo")
    page.click("#play")
    wait_for_moving_picture(page)
    page.click("#stop")
    assert state(page) == "stopped"
    assert video(page, "videoWidth") == 0


def test_nonsense_is_told(page: Page, site: Site) -> None:
    """An address that is none is an error in words."""
    open_page(page, f"{site.address}demo/evowsvideo.html?uri=nonsense:&stream=x")
    wait_for(page, lambda: "cannot be played" in state(page), "the error")


@pytest.mark.parametrize("damage", ["new Uint8Array(4000).fill(7)", "data.slice(0, data.byteLength / 2)"], ids=["garbage", "cut"])
def test_a_fragment_that_cannot_be_read_is_got_over(page: Page, site: Site, damage: str) -> None:
    """Broken media costs a moment, not the picture: the page connects anew."""
    page.add_init_script(
        f"""
        const append = SourceBuffer.prototype.appendBuffer;
        let count = 0;
        SourceBuffer.prototype.appendBuffer = function (data) {{
            count += 1;
            append.call(this, count === 40 ? {damage} : data);
        }};
        """
    )
    site.wait_for_stream("demo")
    open_page(page, site.video_page("demo", debug="1"))
    wait_for(page, lambda: "connecting again" in page.inner_text("#messages"), "the failure")
    wait_for(page, lambda: page.inner_text("#messages").count("the stream is") == 2, "the second connection")
    wait_for_moving_picture(page)
