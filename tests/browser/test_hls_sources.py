"""hls.js and sources as they really are: it plays on when they come and go."""

import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import video, wait_for, wait_for_moving_picture
from tests.browser.site import Site
from tests.browser.test_hls import play
from tests.processes import Child, Children, wait_until

FLAPS = 3

SOUND_BYTES = "webkitAudioDecodedByteCount"
"""Chromium's property of how much sound has been decoded; it grows with silence, too, and without loudspeakers."""

TYPES = pytest.mark.parametrize("segment_type", ["ts", "fmp4"])


@TYPES
def test_hls_js_plays_on_when_the_source_flaps(
    page: Page, site: Site, wall_clock: Callable[..., Child], segment_type: str
) -> None:
    """A viewer who stays sees the picture again each time the source has come back, without touching anything."""
    publisher = wall_clock("cam")
    playlist = site.create_hls("cam", "flap", chunkLength="1", segmentType=segment_type)
    play(page, site, playlist)
    wait_for_moving_picture(page, 40)
    for _ in range(FLAPS):
        publisher.stop()
        wait_until(lambda: "cam" not in site.stream_names(), "the source to be gone")
        publisher = wall_clock("cam")
        stood = video(page, "currentTime")
        wait_for(page, lambda stood=stood: video(page, "currentTime") > stood + 3, "playback to go on", 30)  # type: ignore[misc]
    wait_for_moving_picture(page)


@pytest.fixture
def watch(page: Page, site: Site, children: Children) -> Callable[[str, str], None]:
    """Has a source of one of `HABITS` published, and its HLS played, with segments of a second of this type."""

    def begin(habit: str, segment_type: str) -> None:
        port = str(site.ports["inboundLiveFlv"])
        children.start(sys.executable, "-m", "tests.browser.odd_source", port, habit, habit)
        site.wait_for_stream(habit)
        play(page, site, site.create_hls(habit, "odd", chunkLength="1", playlistLength="5", segmentType=segment_type))
        wait_for(page, lambda: video(page, "currentTime") > 0 and not video(page, "seeking"), "playback to begin", 10)

    return begin


def plays_on(page: Page, seconds: float = 2) -> None:
    """Return when so much more has been played; AssertionError when the player stands still."""
    stood = video(page, "currentTime")
    wait_for(
        page, lambda: video(page, "currentTime") > stood + seconds, f"playback to go on; {page.evaluate('said')}", seconds + 6
    )


@TYPES
def test_another_size_is_taken_over(page: Page, watch: Callable[[str, str], None], segment_type: str) -> None:
    """When the source changes its resolution the viewer sees the new pictures in their size, without touching anything."""
    watch("new-size", segment_type)
    wait_for(page, lambda: video(page, "videoWidth") == 640, "the first size")
    wait_for(page, lambda: video(page, "videoWidth") == 1280, "the other size", 12)
    plays_on(page)
    wait_for_moving_picture(page)


@TYPES
def test_sound_that_comes_late_is_heard(page: Page, watch: Callable[[str, str], None], segment_type: str) -> None:
    """Sound that begins after the picture is heard by those who watch already, and the picture goes on: at the latest when the
    segments without sound have left the list, for a browser adds no track to what it plays."""
    watch("late-sound", segment_type)
    wait_for_moving_picture(page)
    wait_for(page, lambda: video(page, SOUND_BYTES) > 0, "the sound to be decoded", 20)
    plays_on(page)
    wait_for_moving_picture(page)


@TYPES
def test_sound_alone_plays(page: Page, watch: Callable[[str, str], None], segment_type: str) -> None:
    """A source without pictures is heard."""
    watch("sound-only", segment_type)
    plays_on(page, 4)
    assert video(page, SOUND_BYTES) > 0


@TYPES
def test_pictures_alone_play(page: Page, watch: Callable[[str, str], None], segment_type: str) -> None:
    """A source without sound is seen."""
    watch("pictures-only", segment_type)
    plays_on(page, 4)
    wait_for_moving_picture(page)


@TYPES
def test_a_jump_of_the_source_s_clock_is_not_seen(page: Page, watch: Callable[[str, str], None], segment_type: str) -> None:
    """When the times of the source jump by an hour the viewer goes on watching, at the live edge."""
    watch("jump", segment_type)
    began = video(page, "currentTime")
    plays_on(page, 7)
    assert video(page, "currentTime") - began < 60
    wait_for_moving_picture(page)
