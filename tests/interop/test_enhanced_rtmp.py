"""Enhanced RTMP: newer codecs go in and out, to those players that announce them."""

import pytest

from tests.interop.libav import Publisher, play
from tests.processes import Children, wait_until
from tests.server import EmsServer

COMBINATIONS = {
    ("libx265", "aac"): ("hevc", "aac"),
    ("libvpx-vp9", "flac"): ("vp9", "flac"),
    ("libsvtav1", "ac3"): ("libdav1d", "ac3"),
    ("libx264", "libopus"): ("h264", "opus"),
    ("libx264", "eac3"): ("h264", "eac3"),
}


@pytest.mark.parametrize(("encoders", "codecs"), COMBINATIONS.items(), ids=["+".join(pair) for pair in COMBINATIONS])
def test_newer_codecs_pass_and_decode(ems_server: EmsServer, encoders: tuple[str, str], codecs: tuple[str, str]) -> None:
    """HEVC, AV1, VP9, Opus, FLAC, AC-3 and E-AC-3 that ffmpeg publishes are decoded by a player that knows them."""
    url = ems_server.rtmp("enhanced")
    with Publisher(url, *encoders):
        ems_server.wait_for_stream("enhanced")
        counts = play(url)
    assert set(counts) == set(codecs)
    assert min(counts.values()) > 10


@pytest.mark.parametrize(
    ("encoders", "left"), [(("libx265", "aac"), "aac"), (("libx264", "libopus"), "h264")], ids=["hevc", "opus"]
)
def test_a_player_is_not_given_what_it_does_not_know(ems_server: EmsServer, encoders: tuple[str, str], left: str) -> None:
    """A player that announces no FourCC gets the other track only, and plays it."""
    url = ems_server.rtmp("plain")
    with Publisher(url, *encoders):
        ems_server.wait_for_stream("plain")
        assert set(play(url, fourccs="")) == {left}


def test_the_operator_is_told_what_a_player_does_not_get(ems_server: EmsServer, children: Children) -> None:
    """listStreams says of a player which track it does not get, and why."""
    url = ems_server.rtmp("told")
    with Publisher(url, "libx265", "aac"):
        ems_server.wait_for_stream("told")
        player = children.start("rtmpdump", "--quiet", "--live", "-r", url, "-o", "/dev/null")
        wait_until(lambda: any("leftOut" in one for one in ems_server.api("listStreams")), "a player that gets less")
        [left_out] = [one["leftOut"] for one in ems_server.api("listStreams") if "leftOut" in one]
        player.process.kill()
    assert left_out == "video track 0 (h265): the client does not announce hvc1"
