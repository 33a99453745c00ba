"""HLS in a browser while the stream goes on: a long pause, and a low-latency output from its very first part.

The pause is of 12 s. To have it of the two minutes for which a viewer goes to the door, and played on from until all that the
browser had buffered before is used up::

    EMS_PLAY_SECONDS=120 .venv/bin/python -m pytest -o faulthandler_timeout=600 tests/browser/test_hls_live.py -k pause -s
"""

from collections.abc import Callable
from time import monotonic

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import video, wait_for, wait_for_moving_picture
from tests.browser.site import Site
from tests.browser.test_hls import play
from tests.clips import PLAY_SECONDS
from tests.processes import Child

PAUSE = min(max(12, PLAY_SECONDS), 120)
"""Seconds."""

BUFFERED = 60
"""Seconds that hls.js has in its buffer at most."""


def test_a_long_pause_in_a_rolling_list(page: Page, site: Site) -> None:
    """Whoever pauses a stream whose list rolls, but is long, plays on from where the pause began, without a jump."""
    site.wait_for_stream("demo")
    playlist = site.create_hls("demo", "dvr", playlistType="rolling", playlistLength="900")
    play(page, site, playlist)
    wait_for_moving_picture(page, 40)
    page.evaluate("document.querySelector('video').pause()")
    stood = video(page, "currentTime")
    page.wait_for_timeout(PAUSE * 1000)
    assert video(page, "currentTime") == pytest.approx(stood, abs=0.01)
    page.evaluate("document.querySelector('video').play()")
    wait_for(page, lambda: video(page, "currentTime") > stood + 0.5, "playback")
    began, resumed = monotonic(), video(page, "currentTime")
    assert resumed < stood + 3
    page.wait_for_timeout((3 if PAUSE <= BUFFERED else BUFFERED + 10) * 1000)
    played, passed = video(page, "currentTime") - resumed, monotonic() - began
    behind = page.evaluate("player.stats().latency")
    print(f"paused {PAUSE} s at {stood:.1f} s; played {played:.1f} s in {passed:.1f} s, {behind:.0f} s behind")
    print(page.evaluate("said"))
    assert 0.9 * passed - 1 < played < passed + 1
    assert behind > PAUSE


def test_low_latency_plays_from_the_first_part(page: Page, site: Site, wall_clock: Callable[..., Child]) -> None:
    """Who waits for a low-latency output before its stream is there sees it without any error when it comes."""
    settings = {"segmentType": "fmp4", "partLength": "200", "chunkLength": "4", "playlistType": "rolling"}
    site.api("createHLSStream", localStreamNames="clock", targetFolder="webroot", groupName="low", **settings)
    wall_clock("clock")
    play(page, site, f"{site.address}low/clock/playlist.m3u8")
    wait_for_moving_picture(page, 40)
    said = page.evaluate("said")
    print(said)
    assert not [text for text in said if "fatal" in text]
