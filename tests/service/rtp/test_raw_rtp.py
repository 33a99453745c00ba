"""Raw RTP: packets that come to a port, of a codec that the command tells."""

import itertools
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from twisted.logger import LogEvent

from ems.formats.rtp.packetise import make_packetiser
from ems.jobs.settings import PULL
from ems.media import aac
from ems.media.frame import Frame
from ems.media.h264 import AvcConfiguration
from ems.protocols.rtp.pull import RtpPuller, read_track
from ems.testing import RecordingSink, testing_server
from ems.uri import Uri
from tests.processes import free_port
from tests.service.rtmp.far import Observer
from tests.service.rtsp.far_rtsp import FarRtspNetwork
from tests.service.rtsp.sources import Camera, numbers
from tests.unit.media.vectors import AVCC_HIGH

HOST = "127.0.0.1"
SETS = AvcConfiguration.parse(AVCC_HIGH)
VIDEO = {"isAudio": False, "spsBytes": b64encode(SETS.sps[0]).decode(), "ppsBytes": b64encode(SETS.pps[0]).decode()}


class RtpWorld:
    """Our server, one pull of raw RTP as ``mine``, and a socket that sends to it."""

    def __init__(self) -> None:
        self.clock = FarRtspNetwork()
        self.server = testing_server(self.clock)
        self.observer = Observer()
        self.port = free_port()
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def pull(self, host: str = HOST, **settings: Any) -> Any:
        """Begin a pull."""
        uri = Uri.parse(f"rtp://{host}:{self.port}")
        return RtpPuller().pull(self.server, uri, {**PULL, "localStreamName": "mine", **settings}, self.observer)

    def send(self, packets: list[bytes]) -> None:
        """Send packets, and have them received."""
        for packet in packets:
            self.sender.sendto(packet, (HOST, self.port))
        self.until(lambda: True)

    def until(self, condition: Callable[[], object]) -> None:
        """Have everything received, until the condition holds."""
        for _ in range(200):
            self.clock.read_udp()
            self.clock.advance(0.05)
            if condition():
                return
        raise AssertionError("nothing has come of it")


@pytest.fixture
def world(log_events: list[LogEvent]) -> Iterator[RtpWorld]:
    """Fails the test when the log has a traceback or anything is left."""
    made = RtpWorld()
    with closing(made.sender):
        yield made
        for connection in made.server.connections:
            connection.close("the test is over")
        made.until(lambda: len(made.server.connections) == 0)
    assert [event for event in log_events if "log_failure" in event] == []


def test_video(world: RtpWorld) -> None:
    """R-136, R-137: H.264 with parameter sets from the command; the size is that of the SPS (R-139)."""
    attempt = world.pull(**VIDEO)
    assert world.observer.told == ["connected"]
    camera = Camera(sound=False)
    world.send([packet for _, packet in camera.pictures(5)])
    world.until(lambda: world.observer.told == ["connected", "streaming"])
    stream = world.server.streams.inbound["mine"]
    sink = RecordingSink()
    stream.add_sink(sink)
    assert numbers(sink.frames) == [*range(5)]
    assert (stream.type_tag, sink.tracks[0].width, sink.tracks[0].height) == ("INP", 640, 360)
    (connection,) = world.server.connections
    assert (connection.tags, connection.streams) == (("UDP", "IRTP"), [stream])
    assert connection.settings["localStreamName"] == "mine"
    assert connection.far == (HOST, world.sender.getsockname()[1])
    attempt.stop("enough")
    world.until(lambda: world.observer.reason is not None)
    assert (world.observer.reason, sink.reason) == ("enough", "enough")
    assert world.clock.readers == []


def test_audio(world: RtpWorld) -> None:
    """R-138: audioCodecBytes=1190 is AAC-LC, 48 kHz, stereo."""
    world.pull(audioCodecBytes="1190")
    track = aac.make_track(1, bytes.fromhex("1190"))
    sender = make_packetiser(track, payload_type=97, ssrc=5)
    assert sender is not None
    frames = [Frame(track, 0, 0, True, b"\x21" + bytes([number])) for number in range(4)]
    world.send([packet for number, frame in enumerate(frames) for packet in sender.packets(frame, 1024 * number)])
    world.until(lambda: "mine" in world.server.streams.inbound)
    sink = RecordingSink()
    world.server.streams.inbound["mine"].add_sink(sink)
    (told,) = sink.tracks
    assert (told.codec_string, told.sample_rate, told.channels) == ("mp4a.40.2", 48_000, 2)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "audioCodecBytes is needed"),
        ({"audioCodecBytes": "11zz"}, "audioCodecBytes has to be hexadecimal digits"),
        ({"audioCodecBytes": "11" * 40_000}, "audioCodecBytes has 80000 characters"),
        ({"isAudio": False}, "spsBytes is needed"),
        ({**VIDEO, "ppsBytes": "***"}, "ppsBytes has to be base64"),
    ],
)
def test_settings_that_describe_nothing(world: RtpWorld, settings: dict[str, Any], expected: str) -> None:
    """What is missing or makes no sense is named."""
    world.pull(**settings)
    world.until(lambda: world.observer.reason is not None)
    assert expected in (world.observer.reason or "")
    assert world.observer.told == ["ended"]


def test_the_command_of_the_manual() -> None:
    """R-139: parameter sets as the documents write them, whose padding may be missing."""
    sps, pps = VIDEO["spsBytes"], VIDEO["ppsBytes"]
    assert read_track({"isAudio": False, "spsBytes": str(sps).rstrip("="), "ppsBytes": pps}).config == AVCC_HIGH


def test_a_port_that_is_taken(world: RtpWorld) -> None:
    """A port that somebody else uses ends the attempt, with the system's words."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind((HOST, world.port))
        world.pull(**VIDEO)
        world.until(lambda: world.observer.reason is not None)
    assert "in use" in (world.observer.reason or "")


def test_garbage(world: RtpWorld) -> None:
    """What is no RTP brings no stream, and does no harm."""
    world.pull(**VIDEO)
    world.send([b"", b"x", b"\x80" * 11, bytes(2000), b"\xbf" * 100])
    assert "mine" not in world.server.streams.inbound


def test_clocks_and_numbers_wrap(world: RtpWorld) -> None:
    """Neither the wrap of the clock nor that of the numbers is noticed downstream."""
    world.pull(**VIDEO)
    camera = Camera(sound=False, start=(2**32 - 45_000, 0), sequence=65_500)
    world.send([packet for _, packet in camera.pictures(5)])
    world.until(lambda: "mine" in world.server.streams.inbound)
    sink = RecordingSink()
    world.server.streams.inbound["mine"].add_sink(sink)
    for _ in range(8):
        world.send([packet for _, packet in camera.pictures(5)])
    world.until(lambda: len(sink.frames) == 45)
    assert numbers(sink.frames) == [*range(45)]
    times = [frame.pts for frame in sink.frames]
    assert {round((after - before) / 1e6) for before, after in itertools.pairwise(times)} == {40}
