"""RTMP as people meet it: whatever publishes, whatever plays, the picture and the sound arrive whole and in step."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clips
from tests.interop.clients import PLAYERS, PUBLISHERS, Playback
from tests.interop.packets import decoder_complaints, read_packets, run_in, sync_error
from tests.processes import Children
from tests.server import EmsServer

SECONDS = 10
"""How long each player plays. All play at once, so a publisher takes this time once."""

MAX_SYNC_ERROR = 0.040
"""Seconds between picture and sound that nobody notices (EBU R 37)."""

CLIPS = {"ffmpeg": "h264_bframes_aac", "rtmp2sink": "h264_aac", "rtmpsink": "h264_aac"}
"""What each publisher sends. One sends B-frames, whose composition times have to arrive, too."""


class Broadcast:
    """One publisher and all players at once, some seconds after it began."""

    def __init__(self, publisher: str, folder: Path) -> None:
        self.clip = clips.clip(CLIPS[publisher])
        self.playbacks: dict[str, Playback | AssertionError] = {}
        children = Children(folder)
        try:
            server = EmsServer(children, _folder(folder, "server"))
            source = PUBLISHERS[publisher](children, self.clip, server.rtmp("mine"))
            server.wait_for_stream("mine")
            self._play(children, server, folder)
            self.publisher_output = source.output
            self.publisher_lived = source.running
            source.stop()
            server.stop()
            self.server_output = server.output
        finally:
            children.stop_all()

    def _play(self, children: Children, server: EmsServer, folder: Path) -> None:
        waiting = {name: start(children, server.rtmp("mine"), _folder(folder, name), SECONDS) for name, start in PLAYERS.items()}
        for name, finish in waiting.items():
            try:
                self.playbacks[name] = finish()
            except AssertionError as error:
                self.playbacks[name] = error

    def playback(self, player: str) -> Playback:
        """What a player left; raises what went wrong with it."""
        result = self.playbacks[player]
        if isinstance(result, AssertionError):
            raise result
        return result


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture(scope="module", params=PUBLISHERS)
def broadcast(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broadcast]:
    """The broadcast of one publisher; its players' results are looked at by the tests below."""
    yield Broadcast(request.param, tmp_path_factory.mktemp(request.param))


def test_publisher_is_content(broadcast: Broadcast) -> None:
    """Whoever publishes is neither cut off nor told of an error, and the server finds nothing wrong with it."""
    assert broadcast.publisher_lived, broadcast.publisher_output
    assert not broadcast.publisher_output.strip()
    assert "protocol" not in broadcast.server_output.lower(), broadcast.server_output


@pytest.mark.parametrize("player", [name for name in PLAYERS if name != "vlc"])
def test_player_receives_what_was_sent(broadcast: Broadcast, player: str) -> None:
    """A player gets an unbroken run of the very frames that were published, beginning with a key frame, without complaint."""
    playback = broadcast.playback(player)
    assert not playback.complaints
    assert playback.recording is not None
    received, sent = read_packets(playback.recording), read_packets(broadcast.clip)
    seconds = len(received["video"]) / clips.FRAME_RATE
    assert seconds > SECONDS - 2, f"only {seconds} s of video"
    for kind in ("video", "audio"):
        run_in(received[kind], sent[kind])
    assert not decoder_complaints(playback.recording)


@pytest.mark.parametrize("player", [name for name in PLAYERS if name != "vlc"])
def test_sound_stays_with_the_picture(broadcast: Broadcast, player: str) -> None:
    """Picture and sound arrive in step as they were sent."""
    playback = broadcast.playback(player)
    assert playback.recording is not None
    error = sync_error(read_packets(playback.recording), read_packets(broadcast.clip))
    assert abs(error) < MAX_SYNC_ERROR, f"the sound is {error * 1000:.0f} ms late"


def test_vlc_shows_the_picture(broadcast: Broadcast) -> None:
    """VLC decodes the stream and has nothing to say against it."""
    playback = broadcast.playback("vlc")
    assert not playback.complaints
    assert playback.pictures >= SECONDS - 3
