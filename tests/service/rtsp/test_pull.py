"""Pulls from servers and cameras that behave in every possible way, inside the RTSP connection."""

import itertools
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5

import pytest
from twisted.logger import LogEvent

from ems.config import Application
from ems.errors import CommandError
from ems.formats import rtcp
from ems.protocols.rtsp.pull import PullClient, rtp_info
from ems.streams.outbound import OutboundStream
from tests.conversation import in_memory
from tests.service.rtsp.far_rtsp import PUBLIC, FarRtspWorld
from tests.service.rtsp.pulling import accept, of_track, play_begun, report, send, streaming
from tests.service.rtsp.sources import PICTURE, Camera, numbers


@pytest.fixture
def world(log_events: list[LogEvent]) -> Iterator[FarRtspWorld]:
    """Our server, and a network of scripted ones. Fails the test when the log has a traceback or anything is left."""
    made = FarRtspWorld()
    yield made
    made.close()
    assert [event for event in log_events if "log_failure" in event] == []


@in_memory
async def test_a_pull_from_the_first_request_to_the_last_frame(world: FarRtspWorld) -> None:
    """R-049: OPTIONS, DESCRIBE, SETUP of picture and sound, PLAY; then the stream is here, and TEARDOWN ends it."""
    camera = Camera()
    attempt = world.pull("rtsp://192.0.2.1/cam", emulateUserAgent="tester")
    far = await world.far()
    assert world.network.dialed == [("192.0.2.1", 554)]
    describe = await far.open(camera.sdp)
    assert (describe.uri, describe.headers.get("Accept")) == ("rtsp://192.0.2.1/cam", "application/sdp")
    assert describe.headers.get("User-Agent") == "tester"
    first, second = await far.set_up(), await far.set_up()
    assert (first.uri, second.uri) == ("rtsp://192.0.2.1/cam/trackID=0", "rtsp://192.0.2.1/cam/trackID=1")
    assert first.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=0-1"
    assert second.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=2-3"
    play = await far.play()
    assert (play.uri, play.headers.get("Session")) == ("rtsp://192.0.2.1/cam", "5f3a")
    await world.until(lambda: world.observer.told == ["connected"])
    sink = await streaming(world, far, camera)
    send(far, camera.pictures(5))
    assert numbers(sink.frames) == [*range(10)]
    assert len(of_track(sink.frames, 2)) == 10
    stream = world.server.streams.inbound["mine"]
    assert (stream.type_tag, [track.codec.value for track in stream.tracks]) == ("INP", ["h264", "aac"])
    assert world.observer.told == ["connected", "streaming"]
    attempt.stop("enough")
    await far.asked("TEARDOWN")
    assert await world.ended() == "enough"
    assert sink.reason == "enough"


@in_memory
async def test_settings_of_the_connection(world: FarRtspWorld) -> None:
    """A connection that was made for a pull tells what was asked for."""
    await play_begun(world, Camera(), rangeStart=3)
    (connection,) = world.server.connections
    assert connection.settings["localStreamName"] == "mine"
    assert connection.settings["rangeStart"] == 3
    assert connection.tags == ("TCP", "RTSP")


@in_memory
async def test_picture_and_sound_are_in_step(world: FarRtspWorld) -> None:
    """Frames of the same moment get the same time, wherever the media's own clocks began."""
    camera = Camera(start=(4_000_000_000, 17))
    far = await play_begun(world, camera)
    sink = await streaming(world, far, camera, 10)
    pictures, sound = of_track(sink.frames, 1), of_track(sink.frames, 2)
    lag = {(there.dts - here.pts) for here, there in zip(pictures, sound, strict=False)}
    assert max(abs(one) for one in lag) < 2_000_000


@in_memory
async def test_clocks_and_numbers_wrap(world: FarRtspWorld) -> None:
    """After thirteen hours the clock of the picture wraps, after minutes the numbers: viewers notice neither."""
    camera = Camera(start=(2**32 - 90_000, 2**32 - 44_100), sequence=65_530)
    far = await play_begun(world, camera)
    sink = await streaming(world, far, camera)
    for _ in range(9):
        send(far, camera.pictures(5))
    assert numbers(sink.frames) == [*range(50)]
    times = [frame.pts for frame in of_track(sink.frames, 1)]
    steps = {round((after - before) / 1e6) for before, after in itertools.pairwise(times)}
    assert steps == {PICTURE // 1_000_000}
    sound = [frame.dts for frame in of_track(sink.frames, 2)]
    assert {round((after - before) / 1e6) for before, after in itertools.pairwise(sound)} == {40}


@in_memory
async def test_rtp_info_lets_a_source_begin_at_once(world: FarRtspWorld) -> None:
    """Decision 27: with believable RTP-Info nobody waits for sender reports."""
    camera = Camera()
    world.pull()
    far = await world.far()
    await accept(far, camera, RTP_Info="url=rtsp://192.0.2.1/cam/trackID=0;seq=10;rtptime=1000,url=trackID=1;seq=10;rtptime=2000")
    send(far, camera.picture())
    await world.until(lambda: "mine" in world.server.streams.inbound)
    assert world.server.streams.inbound["mine"].details["synchronisation"] == "rtpInfo"


@in_memory
async def test_packets_that_are_faster_than_the_answer(world: FarRtspWorld) -> None:
    """Servers that send media before they have answered PLAY lose none of it."""
    camera = Camera(sound=False)
    world.pull()
    far = await world.far()
    await far.open(camera.sdp)
    await far.set_up()
    asked = await far.asked("PLAY")
    send(far, camera.pictures(2))
    far.answer(asked)
    sink = await streaming(world, far, camera, 3)
    assert numbers(sink.frames) == [*range(5)]


@in_memory
async def test_other_channels_than_were_asked_for(world: FarRtspWorld) -> None:
    """The answer to SETUP says which channels count."""
    camera = Camera(sound=False)
    world.pull()
    far = await world.far()
    await far.open(camera.sdp)
    await far.set_up(Transport="RTP/AVP/TCP;unicast;interleaved=6-7")
    await far.play()
    for _, packet in camera.pictures(5):
        far.frame(6, packet)
    far.frame(99, b"nobody knows this channel")
    await world.until(lambda: world.observer.told == ["connected", "streaming"])


@pytest.mark.parametrize("kind", ["basic", "digest", "sha256"])
@in_memory
async def test_logging_in(world: FarRtspWorld, kind: str) -> None:
    """R-050: user and password of the address answer what the server asks, and are in no request's address."""
    challenges = {
        "basic": ['Basic realm="cam"'],
        "digest": ['Digest realm="cam", nonce="n1"', 'Basic realm="cam"'],
        "sha256": ['Digest realm="cam", nonce="n1"', 'Digest realm="cam", nonce="n2", algorithm=SHA-256, qop="auth"'],
    }
    camera = Camera(sound=False)
    world.pull("rtsp://user:p%40ss@192.0.2.1:8554/cam")
    far = await world.far()
    assert world.network.dialed == [("192.0.2.1", 8554)]
    far.answer(await far.asked("OPTIONS"), Public=PUBLIC)
    asked = await far.asked("DESCRIBE")
    assert asked.uri == "rtsp://192.0.2.1:8554/cam"
    far.challenge(asked, *challenges[kind])
    again = await far.asked("DESCRIBE")
    authorization = again.headers.get("Authorization")
    if kind == "basic":
        assert authorization == "Basic " + b64encode(b"user:p@ss").decode()
    else:
        assert ("SHA-256" in authorization) == (kind == "sha256")
        assert f'uri="{again.uri}"' in authorization
    far.answer(again, body=camera.sdp.encode())
    setup = await far.set_up()
    assert setup.headers.get("Authorization").startswith(authorization.partition(" ")[0])
    await far.play()


@in_memory
async def test_digest_is_the_hash_of_method_and_address(world: FarRtspWorld) -> None:
    """The answer to Digest is made for each request anew (RFC 2617 §3.2.2)."""
    world.pull("rtsp://u:p@192.0.2.1/cam")
    far = await world.far()
    far.challenge(await far.asked("OPTIONS"), 'Digest realm="r", nonce="n"')
    for method in ("OPTIONS", "DESCRIBE"):
        asked = await far.asked(method)
        secret, what = md5(b"u:r:p").hexdigest(), md5(f"{method}:{asked.uri}".encode()).hexdigest()
        expected = md5(f"{secret}:n:{what}".encode()).hexdigest()
        assert f'response="{expected}"' in asked.headers.get("Authorization")
        far.answer(asked, body=Camera().sdp.encode())


@in_memory
async def test_a_nonce_that_is_too_old(world: FarRtspWorld) -> None:
    """A server that changes its nonce is answered again; one that says no twice is believed."""
    camera = Camera(sound=False)
    world.pull("rtsp://u:p@192.0.2.1/cam")
    far = await world.far()
    far.challenge(await far.asked("OPTIONS"), 'Digest realm="r", nonce="1"')
    far.answer(await far.asked("OPTIONS"), Public=PUBLIC)
    far.challenge(await far.asked("DESCRIBE"), 'Digest realm="r", nonce="2"')
    far.challenge(await far.asked("DESCRIBE"), 'Digest realm="r", nonce="3", stale=true')
    asked = await far.asked("DESCRIBE")
    assert 'nonce="3"' in asked.headers.get("Authorization")
    far.answer(asked, body=camera.sdp.encode())
    far.challenge(await far.asked("SETUP"), 'Digest realm="r", nonce="4"')
    far.challenge(await far.asked("SETUP"), 'Digest realm="r", nonce="5"')
    assert await world.ended() == "SETUP refused: 401 Unauthorized"


@in_memory
async def test_no_user_no_login(world: FarRtspWorld) -> None:
    """A server that asks who we are, when the address does not say, is told nothing."""
    world.pull()
    far = await world.far()
    far.challenge(await far.asked("OPTIONS"), 'Basic realm="r"')
    assert await world.ended() == "OPTIONS refused: 401 Unauthorized"


@pytest.mark.parametrize(
    ("status", "location", "to"),
    [
        (302, "rtsp://192.0.2.7:8554/there", ("192.0.2.7", 8554)),
        (301, "/elsewhere", ("192.0.2.1", 554)),
        (303, "rtsp://192.0.2.8/x", ("192.0.2.8", 554)),
    ],
)
@in_memory
async def test_redirects(world: FarRtspWorld, status: int, location: str, to: tuple[str, int]) -> None:
    """A server may send us elsewhere; the stream comes from there."""
    world.pull("rtsp://u:p@192.0.2.1/cam")
    far = await world.far()
    far.answer(await far.asked("OPTIONS"), Public=PUBLIC)
    far.answer(await far.asked("DESCRIBE"), status, Location=location)
    far = await world.far()
    assert world.network.dialed[-1] == to
    far.challenge(await far.asked("OPTIONS"), 'Basic realm="r"')
    if to[0] != "192.0.2.1":
        # Who we are is told to nobody whom we were sent to.
        assert "401" in await world.ended()
    else:
        assert (await far.asked("OPTIONS")).uri == "rtsp://192.0.2.1/elsewhere"


@pytest.mark.parametrize(
    "location",
    ["http://192.0.2.7/x", "rtsp://169.254.169.254/latest", "rtsp://[", "//[x", "rtsp://239.1.1.1/x", "file:///etc/passwd"],
)
@in_memory
async def test_redirects_to_where_we_must_not_go(world: FarRtspWorld, location: str) -> None:
    """A redirect leads neither to other protocols nor to addresses that are out of bounds."""
    world.pull()
    far = await world.far()
    far.answer(await far.asked("OPTIONS"), Public=PUBLIC)
    far.answer(await far.asked("DESCRIBE"), 302, Location=location)
    await world.ended()
    assert all(one.raw == b"" for one in world.network.far[1:])


@in_memory
async def test_redirects_in_a_circle(world: FarRtspWorld) -> None:
    """A server that sends us round and round is left."""
    world.pull()
    for _ in range(6):
        far = await world.far()
        far.answer(await far.asked("OPTIONS"), 302, Location="rtsp://192.0.2.1/cam")
    assert (await world.ended()).startswith("redirected to rtsp://192.0.2.1/cam")


@in_memory
async def test_signs_of_life(world: FarRtspWorld) -> None:
    """Every ten seconds, by GET_PARAMETER where the server has it, by OPTIONS otherwise."""
    camera = Camera(sound=False)
    far = await play_begun(world, camera)
    sink = await streaming(world, far, camera)
    await world.seconds(9.5)
    asked = await far.asked("GET_PARAMETER")
    assert (asked.uri, asked.headers.get("Session"), asked.body) == ("rtsp://192.0.2.1/cam", "5f3a", b"")
    far.answer(asked, 451)
    send(far, camera.pictures(5))
    await world.seconds(9.5)
    far.answer(await far.asked("OPTIONS"))
    assert sink.reason is None


@in_memory
async def test_a_short_session(world: FarRtspWorld) -> None:
    """A session of four seconds gets a sign of life every two."""
    camera = Camera(sound=False)
    world.pull()
    far = await world.far()
    await far.open(camera.sdp)
    await far.set_up(session="77;timeout=4")
    await far.play()
    await streaming(world, far, camera)
    await world.seconds(2.2)
    asked = await far.asked("GET_PARAMETER")
    assert asked.headers.get("Session") == "77"


@in_memory
async def test_a_server_that_does_not_answer_any_more(world: FarRtspWorld) -> None:
    """After ten signs of life without an answer the connection is given up."""
    far = await play_begun(world, Camera(sound=False))
    camera = Camera(sound=False)
    while world.observer.reason is None:
        send(far, camera.picture())
        await world.seconds(1)
    assert "signs of life" in world.observer.reason


@in_memory
async def test_a_session_that_is_forgotten(world: FarRtspWorld) -> None:
    """454 on a sign of life ends the pull, so that it begins anew."""
    camera = Camera(sound=False)
    far = await play_begun(world, camera)
    await streaming(world, far, camera)
    await world.seconds(9.5)
    far.answer(await far.asked("GET_PARAMETER"), 454)
    assert await world.ended() == "the other server has forgotten the session"


@in_memory
async def test_what_servers_ask_of_us(world: FarRtspWorld) -> None:
    """Requests of the server are answered; REDIRECT is followed."""
    camera = Camera(sound=False)
    far = await play_begun(world, camera)
    await streaming(world, far, camera)
    for number, (method, status) in enumerate([("OPTIONS", 200), ("SET_PARAMETER", 200), ("PAUSE", 501)]):
        far.send(f"{method} * RTSP/1.0\r\nCSeq: {number}\r\n\r\n".encode())
        assert (far.responses[-1].status, far.responses[-1].headers.get("CSeq")) == (status, str(number))
    far.send(b"REDIRECT rtsp://192.0.2.1/cam RTSP/1.0\r\nCSeq: 7\r\nLocation: rtsp://192.0.2.9/cam\r\n\r\n")
    await world.far()
    assert world.network.dialed[-1] == ("192.0.2.9", 554)


@in_memory
async def test_an_announced_end(world: FarRtspWorld) -> None:
    """When all media have said goodbye the stream ends, not before."""
    camera = Camera()
    far = await play_begun(world, camera)
    sink = await streaming(world, far, camera)
    far.frame(1, camera.goodbye(0))
    await world.seconds(0.2)
    assert sink.reason is None
    far.frame(3, camera.goodbye(1))
    assert sink.reason == "the source has said goodbye"


@in_memory
async def test_receiver_reports(world: FarRtspWorld) -> None:
    """The source is told every five seconds what has arrived, for each medium (RFC 3550 §6.4.2)."""
    camera = Camera(sequence=65_535)
    far = await play_begun(world, camera)
    await streaming(world, far, camera)
    report(far, camera)
    await world.seconds(6)
    reports = {frame.channel: rtcp.parse(frame.data) for frame in far.frames}
    assert set(reports) == {1, 3}
    (report_of_sound, names) = reports[3]
    assert isinstance(report_of_sound, rtcp.ReceiverReport)
    assert isinstance(names, rtcp.SourceDescription)
    (block,) = report_of_sound.blocks
    assert (block.ssrc, block.cumulative_lost, block.highest_sequence) == (0x1001, 0, 65_535 + 4)
    assert block.last_sr


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ""),
        ({"rangeStart": -1}, "npt=now-"),
        ({"rangeStart": 0}, "npt=0-"),
        ({"rangeStart": 30, "rangeEnd": 60}, "npt=30-60"),
        ({"rangeStart": 30, "rangeEnd": 30}, "npt=30-"),
        ({"rangeTimeStart": "19961108T142300Z"}, "clock=19961108T142300Z-"),
        ({"rangeTimeStart": "19961108T142300Z", "rangeTimeEnd": "19961108T143520Z"}, "clock=19961108T142300Z-19961108T143520Z"),
    ],
)
@in_memory
async def test_ranges(world: FarRtspWorld, settings: dict[str, object], expected: str) -> None:
    """What is asked for is what is played: from a second or a time of day on, to another."""
    world.pull(**settings)
    far = await world.far()
    await far.open(Camera(sound=False).sdp)
    await far.set_up()
    asked = await far.asked("PLAY")
    assert asked.headers.get("Range") == expected
    if expected:
        far.answer(asked, 457)
        asked = await far.asked("PLAY")
        assert "Range" not in asked.headers
    far.answer(asked)
    await world.until(lambda: world.observer.told == ["connected"])


def test_cameras_that_need_a_range() -> None:
    """With sendRtspRangeHeaders every PLAY has a Range."""
    world = FarRtspWorld(Application(name="ems", aliases=("live",), send_rtsp_range_headers=True))

    async def script() -> None:
        world.pull()
        far = await world.far()
        await far.open(Camera(sound=False).sdp)
        await far.set_up()
        assert (await far.asked("PLAY")).headers.get("Range") == "npt=now-"

    world.run(script())
    world.close()


@in_memory
async def test_renewals(world: FarRtspWorld) -> None:
    """sendRenewStream: whenever somebody comes to watch, the source is asked to begin anew."""
    camera = Camera(sound=False)
    far = await play_begun(world, camera, sendRenewStream=True)
    await streaming(world, far, camera)
    viewer = OutboundStream(world.server.streams, "mine", None)
    viewer.subscribe()
    asked = await far.asked("SET_PARAMETER")
    assert (asked.headers.get("RenewStream"), asked.body) == ("yes", b"Renew-Stream: yes\r\n")
    OutboundStream(world.server.streams, "other", None).subscribe()
    assert not far.requests
    for outbound in [*world.server.streams.outbound.values()]:
        outbound.unsubscribe()


@in_memory
async def test_custom_headers(world: FarRtspWorld) -> None:
    """sdpCustParams adds headers to the request of the description."""
    text = b64encode(b"X-Camera: 7\r\nAccept: application/sdp, text/x\r\nnonsense").decode()
    world.pull(sdpCustParams=text)
    far = await world.far()
    asked = await far.open(Camera().sdp)
    assert (asked.headers.get("X-Camera"), asked.headers.get("Accept")) == ("7", "application/sdp, text/x")


@in_memory
async def test_scale(world: FarRtspWorld) -> None:
    """customRTSPHeaders: PLAY once more, with Scale; a refusal is told."""
    camera = Camera(sound=False)
    far = await play_begun(world, camera)
    await streaming(world, far, camera)
    source = world.server.streams.inbound["mine"].source
    assert isinstance(source, PullClient)
    done = source.scale(-2.5)
    asked = await far.asked("PLAY")
    assert asked.headers.get("Scale") == "-2.5"
    far.answer(asked)
    await done
    refused = source.scale(64)
    far.answer(await far.asked("PLAY"), 406)
    with pytest.raises(CommandError, match="406"):
        await refused


@in_memory
async def test_a_taken_name(world: FarRtspWorld) -> None:
    """A name that somebody else has taken meanwhile ends the pull."""
    camera = Camera(sound=False)
    far = await play_begun(world, camera)
    stream = world.server.streams.register("mine", type_tag="IN", source=None)
    send(far, camera.pictures(5))
    assert await world.ended() == "Stream name mine already taken"
    stream.end("over")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "neither a request nor a response"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 999999999\r\n\r\n", "a body of"),
        (b"x" * 5000, "a line of more than"),
    ],
)
@in_memory
async def test_servers_that_speak_something_else(world: FarRtspWorld, answer: bytes, expected: str) -> None:
    """What is no RTSP ends the attempt, with words about it."""
    world.pull()
    far = await world.far()
    await far.asked("OPTIONS")
    far.send(answer)
    assert expected in await world.ended()


@in_memory
async def test_a_silent_server(world: FarRtspWorld) -> None:
    """A server that takes the connection and says nothing is left after ten seconds."""
    world.pull()
    await (await world.far()).asked("OPTIONS")
    assert await world.ended() == "no answer to OPTIONS within 10 s"


@in_memory
async def test_a_source_that_sends_nothing(world: FarRtspWorld) -> None:
    """PLAY that is answered, and no packet for twenty seconds."""
    await play_begun(world, Camera())
    assert await world.ended() == "nothing came for 20 s"


@in_memory
async def test_a_source_that_sends_nonsense(world: FarRtspWorld) -> None:
    """Packets that never become a stream end the pull as well, after the time that reports are waited for."""
    far = await play_begun(world, Camera(), rtcpDetectionInterval=5)
    for _ in range(4):
        far.frame(0, b"no packet")
        await world.seconds(5)
    assert world.observer.reason is None
    assert await world.ended() == "nothing that can be played came for 25 s"


@in_memory
async def test_nobody_listens(world: FarRtspWorld) -> None:
    """A port where nobody listens."""
    world.network.refusing = True
    world.pull()
    assert (await world.ended()).startswith("cannot connect to 192.0.2.1:554: Connection was refused")


@pytest.mark.parametrize("sdp", ["", "v=0\nm=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\n", "\0" * 99])
@in_memory
async def test_descriptions_of_nothing(world: FarRtspWorld, sdp: str) -> None:
    """A source without any medium that can be taken is told apart by what it has."""
    world.pull()
    far = await world.far()
    await far.open(sdp)
    assert (await world.ended()).startswith("none of the media that are offered can be taken")


@in_memory
async def test_one_medium_of_each_kind(world: FarRtspWorld) -> None:
    """Of many media the first picture and the first sound are set up that can be read."""
    camera = Camera()
    extra = "m=video 0 RTP/AVP 26\r\na=control:jpeg\r\nm=application 0 RTP/AVP 107\r\na=control:meta\r\n"
    head, media = camera.sdp.split("m=video", 1)
    world.pull()
    far = await world.far()
    await far.open(head + extra + "m=video" + media + "m=video 0 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=control:sub\r\n")
    assert (await far.set_up()).uri.endswith("/trackID=0")
    assert (await far.set_up()).uri.endswith("/trackID=1")
    await far.play()


@in_memory
async def test_parameter_sets_in_the_stream(world: FarRtspWorld) -> None:
    """A camera whose description lacks them begins with the parameter sets that it sends."""
    camera = Camera(sound=False)
    world.pull()
    far = await world.far()
    await far.open(re.sub(r";sprop-parameter-sets=\S+", "", camera.sdp))
    await far.set_up()
    await far.play()
    sink = await streaming(world, far, camera)
    assert (sink.tracks[0].width, sink.tracks[0].height) == (640, 360)


@in_memory
async def test_a_lost_fragment(world: FarRtspWorld) -> None:
    """Inside a connection nothing is lost, unless the server leaves it out: pictures wait for a key frame, and it is counted."""
    camera = Camera(sound=False)
    far = await play_begun(world, camera)
    sink = await streaming(world, far, camera)
    packets = camera.pictures(5, size=4000)
    del packets[4]
    send(far, packets)
    send(far, camera.pictures(5))
    assert numbers(sink.frames) == [*range(5), *range(10, 15)]
    await world.seconds(1.1)
    stream = world.server.streams.inbound["mine"]
    assert stream.details["lostPackets"] == "1"
    assert stream.statistics.video.dropped_packets > 0


def test_reading_rtp_info() -> None:
    """RTP-Info in all the ways in which it is written; what is none is left out."""
    urls = ["rtsp://h/cam/trackID=1", "rtsp://h/cam/trackID=2"]
    assert rtp_info("", urls) == {}
    assert rtp_info("url=rtsp://h/cam/trackID=2;seq=1;rtptime=5,url=rtsp://h/cam/trackID=1;rtptime=4294967295", urls) == {
        0: 4294967295,
        1: 5,
    }
    assert rtp_info('url="trackID=1";rtptime=1, url=trackID=2/;rtptime=2', urls) == {0: 1, 1: 2}
    assert rtp_info("url=a;rtptime=1,url=b;rtptime=2", urls) == {0: 1, 1: 2}
    assert rtp_info("url=a;seq=1,url=b;seq=2", urls) == {}
