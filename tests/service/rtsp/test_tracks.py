"""What is announced of a stream that has just come, whose publisher names its tracks one by one, as those of RTMP do."""

import pytest

from ems.formats import flv
from ems.media.frame import SECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.streams.inbound import InboundStream
from tests.service.rtsp.clients import AUDIO, URL, VIDEO, Client, World, picture

DATA = Track(flv.DATA_TRACK, Kind.DATA, Codec.AMF0)
METADATA = {"videocodecid": 7, "audiocodecid": 10}


@pytest.fixture
def stream(rtsp: World) -> InboundStream:
    """A stream that has come, and of which there is only the metadata yet."""
    stream = rtsp.server.streams.register("cam", type_tag="INR", source=None)
    stream.set_metadata(METADATA)
    stream.set_tracks((DATA,))
    return stream


def media(client: Client) -> list[str]:
    """The media lines of the first description that a client has got, the kinds only."""
    lines = client.responses[0].body.decode().splitlines() if client.responses else []
    return [line[2:].split()[0] for line in lines if line.startswith("m=")]


def test_a_player_who_comes_with_the_publisher_gets_picture_and_sound(rtsp: World, stream: InboundStream) -> None:
    """DESCRIBE waits until all tracks that the metadata promises are there."""
    client = rtsp.client()
    assert client.say("DESCRIBE") is None
    stream.set_tracks((VIDEO, DATA))
    rtsp.pass_time(0.1)
    assert not client.responses
    stream.set_tracks((VIDEO, AUDIO, DATA))
    rtsp.pass_time(0.1)
    assert media(client) == ["audio", "video"]


def test_a_player_who_leaves_while_it_waits(rtsp: World, stream: InboundStream) -> None:
    """Who hangs up before the tracks are known is gone, and nothing is set up for it."""
    client = rtsp.client()
    assert client.say("SETUP", f"{URL}/trackID=1", Transport="RTP/AVP;unicast;client_port=5000-5001") is None
    client.peer.hang_up()
    stream.set_tracks((VIDEO, DATA))
    rtsp.pass_time(0.1)
    assert stream._sinks == ()
    assert rtsp.server.connections.counters["managedUdp"].total == 0


def test_a_promise_that_is_not_kept_costs_a_second(rtsp: World, stream: InboundStream) -> None:
    """Metadata may be wrong: when the picture has gone on for a second, nobody waits for the sound any longer."""
    client = rtsp.client()
    assert client.say("DESCRIBE") is None
    stream.set_tracks((VIDEO, DATA))
    stream.push(picture(0))
    assert not client.responses
    stream.push(Frame(VIDEO, SECOND, SECOND, True, picture(0).data))
    rtsp.pass_time(0.1)
    assert media(client) == ["video"]
    late = rtsp.client()
    assert late.status("DESCRIBE") == 200
