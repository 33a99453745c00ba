"""RTMP as people meet it: whatever publishes, whatever plays, the picture and the sound arrive whole and in step."""

import pytest

from tests import clips
from tests.interop.broadcast import Broadcast
from tests.interop.clients import PLAYERS, PUBLISHERS

SECONDS = clips.PLAY_SECONDS
"""How long each player plays. All play at once, so a publisher takes this time once."""

CLIPS = {"ffmpeg": "h264_bframes_aac", "rtmp2sink": "h264_aac", "rtmpsink": "h264_aac"}
"""What each publisher sends. One sends B-frames, whose composition times have to arrive, too."""


@pytest.fixture(scope="module", params=PUBLISHERS)
def broadcast(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Broadcast:
    """The broadcast of one publisher; its players' results are looked at by the tests below."""
    name = request.param
    return Broadcast(PUBLISHERS[name], CLIPS[name], PLAYERS, tmp_path_factory.mktemp(name), SECONDS)


def test_publisher_is_content(broadcast: Broadcast) -> None:
    """Whoever publishes is neither cut off nor told of an error, and the server finds nothing wrong with it."""
    broadcast.assert_publisher_was_content()


@pytest.mark.parametrize("player", [name for name in PLAYERS if name != "vlc"])
def test_player_receives_what_was_sent(broadcast: Broadcast, player: str) -> None:
    """A player gets an unbroken run of the very frames that were published, beginning with a key frame, without complaint."""
    broadcast.assert_received(player)


@pytest.mark.parametrize("player", [name for name in PLAYERS if name != "vlc"])
def test_sound_stays_with_the_picture(broadcast: Broadcast, player: str) -> None:
    """Picture and sound arrive in step as they were sent."""
    broadcast.assert_in_step(player)


def test_vlc_shows_the_picture(broadcast: Broadcast) -> None:
    """VLC decodes the stream and has nothing to say against it."""
    playback = broadcast.playback("vlc")
    assert not playback.complaints
    assert playback.pictures >= SECONDS - 3
