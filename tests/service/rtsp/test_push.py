"""Pushes to RTSP servers that behave in every possible way."""

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from ems.formats import rtcp, sdp
from ems.formats.rtp.packet import parse
from ems.media.frame import Frame
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtsp.push import target_url
from ems.streams.inbound import InboundStream
from ems.testing import stream_of
from tests.conversation import in_memory
from tests.service.rtsp.far_rtsp import PUBLIC, FarRtsp, FarRtspWorld
from tests.service.rtsp.sources import PICTURE, audio_track, video_track

VIDEO, AUDIO = video_track(), audio_track()


@pytest.fixture
def world(log_events: list[LogEvent]) -> Iterator[FarRtspWorld]:
    """Our server, and a network of scripted ones. Fails the test when the log has a traceback or anything is left."""
    made = FarRtspWorld()
    yield made
    made.close()
    assert [event for event in log_events if "log_failure" in event] == []


def picture(number: int, size: int = 200) -> Frame:
    """A picture, every fifth a key frame."""
    key = number % 5 == 0
    unit = bytes((0x65 if key else 0x41, 0x88)) + number.to_bytes(2, "big") + bytes(size)
    return Frame(VIDEO, number * PICTURE, number * PICTURE, key, len(unit).to_bytes(4, "big") + unit)


def sound(number: int) -> Frame:
    """A piece of sound."""
    return Frame(AUDIO, number * PICTURE, number * PICTURE, True, b"\x21sound")


def local_stream(world: FarRtspWorld) -> InboundStream:
    """The stream that is pushed, after its first pictures."""
    return stream_of([frame for number in range(6) for frame in (picture(number), sound(number))], world.server.streams, "mine")


async def recording(far: FarRtsp) -> sdp.SessionDescription:
    """Let a client record; returns what it has announced."""
    far.answer(await far.asked("OPTIONS"), Public=PUBLIC)
    announced = await far.asked("ANNOUNCE")
    assert announced.headers.get("Content-Type") == "application/sdp"
    far.answer(announced)
    description = sdp.parse(announced.body)
    for _ in description.medias:
        await far.set_up()
    far.answer(await far.asked("RECORD"))
    return description


@in_memory
async def test_a_push_from_the_first_request_to_the_last(world: FarRtspWorld) -> None:
    """R-066: ANNOUNCE of both tracks under the target's name, SETUP of each for recording, RECORD, media; then TEARDOWN."""
    stream = local_stream(world)
    world.push("rtsp://192.0.2.1:5554/live?key=1")
    far = await world.far()
    assert world.network.dialed == [("192.0.2.1", 5554)]
    far.answer(await far.asked("OPTIONS"), Public=PUBLIC)
    announced = await far.asked("ANNOUNCE")
    assert announced.uri == "rtsp://192.0.2.1:5554/live/theirs?key=1"
    description = sdp.parse(announced.body)
    assert [media.kind for media in description.medias] == ["video", "audio"]
    far.answer(announced)
    for index, media in enumerate(description.medias):
        asked = await far.set_up()
        assert asked.uri == f"rtsp://192.0.2.1:5554/live/theirs?key=1/{media.control}"
        transport = asked.headers.get("Transport").lower().replace('"', "")
        assert transport == f"rtp/avp/tcp;unicast;interleaved={2 * index}-{2 * index + 1};mode=record"
    record = await far.asked("RECORD")
    assert (record.headers.get("Range"), record.headers.get("Session")) == ("npt=now-", "5f3a")
    assert not far.frames
    far.answer(record)
    await world.until(lambda: world.observer.told == ["connected", "streaming"])
    await world.until(lambda: {frame.channel for frame in far.frames} == {0, 1, 2, 3})
    stream.push(picture(6))
    await world.seconds(0.2)
    stream.end("over")
    await far.asked("TEARDOWN")
    assert await world.ended() == "the local stream ended: over"
    assert any(isinstance(packet, rtcp.Goodbye) for packet in rtcp.parse(far.frames[-1].data))


@in_memory
async def test_a_push_begins_with_a_key_frame(world: FarRtspWorld) -> None:
    """The other server gets everything from the newest key frame on, with parameter sets in front."""
    stream = local_stream(world)
    world.push()
    far = await world.far()
    description = await recording(far)
    await world.until(lambda: [frame for frame in far.frames if frame.channel == 0])
    stream.push(picture(6))
    await world.seconds(0.2)
    units = [parse(frame.data).payload for frame in far.frames if frame.channel == 0]
    assert [unit[0] & 31 for unit in units] == [7, 8, 5, 1]
    assert description.medias[0].payload_types[0] == parse(far.frames[-1].data).payload_type
    (outbound,) = world.server.streams.outbound.values()
    assert (outbound.type_tag, outbound.name) == ("ONP", "mine")
    (connection,) = world.server.connections
    assert connection.settings["targetStreamName"] == "theirs"
    assert connection.streams == [outbound]
    stream.end("over")


@in_memory
async def test_logging_in_for_a_push(world: FarRtspWorld) -> None:
    """A server that asks at ANNOUNCE is answered, body and all."""
    local_stream(world)
    attempt = world.push("rtsp://u:p@192.0.2.1/live")
    far = await world.far()
    far.answer(await far.asked("OPTIONS"))
    asked = await far.asked("ANNOUNCE")
    far.challenge(asked, 'Digest realm="r", nonce="n"')
    again = await far.asked("ANNOUNCE")
    assert again.headers.get("Authorization").startswith("Digest ")
    assert again.body == asked.body
    attempt.stop("enough")
    assert await world.ended() == "enough"


@pytest.mark.parametrize("method", ["ANNOUNCE", "SETUP", "RECORD"])
@in_memory
async def test_refusals(world: FarRtspWorld, method: str) -> None:
    """A server that refuses is told of, with the request and the reason."""
    local_stream(world)
    world.push()
    far = await world.far()
    for expected in ("OPTIONS", "ANNOUNCE", "SETUP", "SETUP", "RECORD"):
        asked = await far.asked(expected)
        if expected == method:
            far.answer(asked, 403)
            break
        far.answer(asked, Transport=asked.headers.get("Transport"), Session="1")
    assert await world.ended() == f"{method} refused: 403 Forbidden"


@in_memory
async def test_an_untouched_transport_stream(world: FarRtspWorld) -> None:
    """What came in as a transport stream is pushed as one, at once."""
    packet = b"\x47" + bytes(187)
    stream = stream_of([Frame(Track(0, Kind.DATA, Codec.TS), 0, 0, False, packet)], world.server.streams, "mine")
    world.push()
    far = await world.far()
    description = await recording(far)
    assert [media.is_transport_stream for media in description.medias] == [True]
    await world.until(lambda: [frame for frame in far.frames if frame.channel == 0])
    assert parse(far.frames[-1].data).payload == packet
    stream.end("over")


@in_memory
async def test_media_in_two_ways(world: FarRtspWorld) -> None:
    """A server that wants the picture over UDP and the sound inside the connection is told of; nothing would get there."""
    stream = local_stream(world)
    world.push("rtsp://127.0.0.1/live", forceTcp=False)
    far = await world.far()
    far.answer(await far.asked("OPTIONS"), Public=PUBLIC)
    far.answer(await far.asked("ANNOUNCE"))
    asked = await far.asked("SETUP")
    far.answer(asked, Session="1", Transport=f"{asked.headers.get('Transport')};server_port=5000-5001")
    await far.set_up(session="1", Transport="RTP/AVP/TCP;unicast;interleaved=2-3;mode=record")
    assert await world.ended() == "the server wants some media over UDP and some inside the connection"
    stream.end("over")


@in_memory
async def test_a_stream_that_tells_its_tracks_late(world: FarRtspWorld) -> None:
    """An announcement waits until it is known what there is to announce."""
    stream = world.server.streams.register("mine", type_tag="INR", source=None)
    world.push()
    far = await world.far()
    await world.seconds(1)
    assert not far.requests
    stream.set_tracks((VIDEO,))
    far.answer(await far.asked("OPTIONS"))
    assert len(sdp.parse((await far.asked("ANNOUNCE")).body).medias) == 1
    stream.end("over")


@in_memory
async def test_a_stream_without_tracks(world: FarRtspWorld) -> None:
    """A stream that never tells its tracks cannot be announced."""
    stream = world.server.streams.register("mine", type_tag="INR", source=None)
    world.push()
    await world.far()
    assert await world.ended() == "the local stream has not told its tracks within 20 s"
    stream.end("over")


@in_memory
async def test_other_tracks_than_were_announced(world: FarRtspWorld) -> None:
    """When the sound is gone the push begins anew, as what was announced is no longer true."""
    stream = local_stream(world)
    world.push()
    far = await world.far()
    await recording(far)
    await world.until(lambda: far.frames)
    stream.set_tracks((VIDEO,))
    assert await world.ended() == "the tracks of the local stream have changed"
    stream.end("over")


@in_memory
async def test_a_server_that_reads_no_more(world: FarRtspWorld) -> None:
    """A server that takes nothing for twenty seconds is given up."""
    stream = local_stream(world)
    world.push()
    far = await world.far()
    await recording(far)
    await world.until(lambda: far.frames)
    far.transport.hold()
    number = 6
    while world.observer.reason is None:
        stream.push(picture(number, 50_000))
        number += 1
        await world.seconds(0.5)
    assert world.observer.reason == "the other server has taken nothing for 20 s"
    stream.end("over")


@pytest.mark.parametrize(
    ("base", "name", "expected"),
    [
        ("rtsp://h:554/live/", "cam", "rtsp://h:554/live/cam"),
        ("rtsp://h", "cam", "rtsp://h/cam"),
        ("rtsp://h/live?x=1", "a b/c?d", "rtsp://h/live/a%20b/c%3Fd?x=1"),
    ],
)
def test_target_addresses(base: str, name: str, expected: str) -> None:
    """The stream's name there comes behind the path, and the query behind both."""
    assert target_url(base, name) == expected
