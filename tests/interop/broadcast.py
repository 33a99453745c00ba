"""One publisher, the server, and several players at once: what each of them leaves is looked at by the tests."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tests import clips
from tests.interop.clients import Playback, Player, Publisher
from tests.interop.packets import decoder_complaints, read_packets, run_in, sync_error
from tests.processes import Children
from tests.server import DOORS, EmsServer

MAX_SYNC_ERROR = 0.040
"""Seconds between picture and sound that nobody notices (EBU R 37)."""


class Broadcast:
    """A publisher sends a clip of a kind with one protocol of the RTMP family, and players play it with the same.

    All players begin at once, when the publisher has begun, and play for some seconds.
    """

    def __init__(
        self, publish: Publisher, kind: str, players: Mapping[str, Player], folder: Path, seconds: int, scheme: str = "rtmp"
    ) -> None:
        self.clip = clips.clip(kind)
        self.playbacks: dict[str, Playback | AssertionError] = {}
        self._seconds = seconds
        self._scheme = scheme
        children = Children(folder)
        try:
            server = EmsServer(children, subfolder(folder, "server"), doors=(*DOORS, "inboundRtmpt", "inboundRtmps"))
            source = publish(children, self.clip, server.rtmp("mine", scheme=scheme))
            server.wait_for_stream("mine")
            self._play(children, server, folder, players)
            self.publisher_output = source.output
            self.publisher_lived = source.running
            source.stop()
            server.stop()
            self.server_output = server.output
        finally:
            children.stop_all()

    def _play(self, children: Children, server: EmsServer, folder: Path, players: Mapping[str, Player]) -> None:
        url = server.rtmp("mine", scheme=self._scheme)
        waiting: dict[str, Callable[[], Playback]] = {
            name: start(children, url, subfolder(folder, name), self._seconds) for name, start in players.items()
        }
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

    def assert_publisher_was_content(self) -> None:
        """AssertionError when the publisher was cut off or told of an error, or the server found something wrong with it."""
        assert self.publisher_lived, self.publisher_output
        assert not self.publisher_output.strip()
        assert "protocol error" not in self.server_output, self.server_output

    def assert_received(self, player: str) -> None:
        """AssertionError when a player did not get an unbroken run of the frames that were sent, or had to complain."""
        playback = self.playback(player)
        assert not playback.complaints
        assert playback.recording is not None
        received, sent = read_packets(playback.recording), read_packets(self.clip)
        seconds = len(received["video"]) / clips.FRAME_RATE
        assert seconds > self._seconds - 2, f"only {seconds} s of video"
        for kind in ("video", "audio"):
            run_in(received[kind], sent[kind])
        assert not decoder_complaints(playback.recording)

    def assert_in_step(self, player: str) -> None:
        """AssertionError when picture and sound did not arrive in step as they were sent."""
        playback = self.playback(player)
        assert playback.recording is not None
        error = sync_error(read_packets(playback.recording), read_packets(self.clip))
        assert abs(error) < MAX_SYNC_ERROR, f"the sound is {error * 1000:.0f} ms late"


def subfolder(parent: Path, name: str) -> Path:
    """A new folder that VLC, which runs as nobody, can read."""
    folder = parent / name
    folder.mkdir(mode=0o755)
    return folder
