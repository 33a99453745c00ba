"""HLS in a browser: by hls.js and by the browser's own player, through the dashboard's player and the pages' module alone."""

import statistics
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import delays, screenshot, video, wait_for, wait_for_moving_picture
from tests.browser.site import Site
from tests.clips import PLAY_SECONDS
from tests.processes import Child

LONGEST_LOW_LATENCY = 2500
"""Milliseconds from the making of a picture to its showing, with low-latency HLS."""

PLAY = """async ([playlist, native]) => {
    document.body.prepend(Object.assign(document.createElement("video"), {muted: true}));
    const { HlsPlayer } = await import("/js/hls-player.js");
    window.said = [];
    const player = new HlsPlayer(document.querySelector("video"), playlist, {
        native,
        onState: (state, reason) => said.push(`${state} ${reason}`),
        log: (text) => said.push(text),
    });
    window.player = player;
    await player.play();
}"""


def play(page: Page, site: Site, playlist: str, native: bool = False) -> None:
    """Play a playlist with the pages' HLS player in a page that has no player of its own."""
    page.goto(f"{site.address}favicon.svg")
    page.goto(f"{site.address}demo/jsonMetaTest.html", wait_until="domcontentloaded")
    page.wait_for_url("**/evowsmeta.html")
    page.evaluate(PLAY, [playlist, native])


@pytest.mark.parametrize("native", [False, True], ids=["hls.js", "the browser's own"])
def test_hls_plays(page: Page, site: Site, native: bool) -> None:
    """The playlist of a group plays, whoever plays it, in the right size and without a gap."""
    site.wait_for_stream("demo")
    playlist = site.create_hls("demo", "hls")
    play(page, site, playlist, native)
    wait_for_moving_picture(page, 40)
    assert video(page, "videoWidth") == 1280
    assert page.evaluate("player.stats().by") == ("the browser" if native else "hls.js")
    began = video(page, "currentTime")
    page.wait_for_timeout(PLAY_SECONDS * 1000)
    assert video(page, "currentTime") - began > PLAY_SECONDS * 0.9 - 0.5, page.evaluate("said")
    screenshot(page, f"hls-{'native' if native else 'js'}")


def test_a_pause_goes_on_where_it_was(page: Page, site: Site) -> None:
    """Whoever pauses a live stream sees the rest of it later, from the picture at which it stood."""
    site.wait_for_stream("demo")
    playlist = site.create_hls("demo", "dvr", playlistType="appending")
    play(page, site, playlist)
    wait_for_moving_picture(page, 40)
    page.evaluate("document.querySelector('video').pause()")
    stood = video(page, "currentTime")
    page.wait_for_timeout(min(120, PLAY_SECONDS) * 1000)
    assert video(page, "currentTime") == pytest.approx(stood, abs=0.01)
    page.evaluate("document.querySelector('video').play()")
    wait_for(page, lambda: video(page, "currentTime") > stood + 1, "playback")
    assert video(page, "currentTime") < stood + 5


def test_low_latency_is_two_and_a_half_seconds_at_most(page: Page, site: Site, wall_clock: Callable[..., Child]) -> None:
    """With low-latency HLS a picture is on the screen 2.5 s after it was made."""
    wall_clock("clock")
    playlist = site.create_hls("clock", "low", segmentType="fmp4", partLength="200")
    play(page, site, playlist)
    wait_for_moving_picture(page, 40)
    delays(page, 150)
    measured = delays(page, 25 * PLAY_SECONDS)
    print(f"delay in ms: median {statistics.median(measured):.0f}, {min(measured)} to {max(measured)}")
    assert statistics.median(measured) < LONGEST_LOW_LATENCY, (measured, page.evaluate("said"))


def test_a_playlist_that_comes_later_is_waited_for(page: Page, site: Site) -> None:
    """Who asks for a group that is not there yet is told, and sees it when it is."""
    site.wait_for_stream("demo")
    play(page, site, f"{site.address}soon/playlist.m3u8")
    wait_for(page, lambda: any("again" in text for text in page.evaluate("said")), "the page to say so")
    site.create_hls("demo", "soon")
    wait_for_moving_picture(page, 40)
