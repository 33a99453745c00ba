"""Playing inside the connection: what a viewer gets, in which order, and what becomes of slow ones."""

from itertools import pairwise

from ems.api.describe import describe_stream
from ems.formats import rtcp
from ems.formats.mpegts.demux import TsDemuxer
from ems.formats.mpegts.events import Sample
from ems.formats.rtp.depacketise import make_track_depacketiser
from ems.media import h264
from ems.media.frame import SECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtsp.feed import Form
from ems.protocols.rtsp.transport import parse_transports
from ems.streams.feed import Feed
from tests.service.rtsp.clients import AUDIO, TCP, URL, VIDEO, Client, World, application, both, picture
from tests.unit.media import vectors


def pictures(client: Client, channel: int = 2) -> list[bytes]:
    """The slices that a viewer got, parameter sets left out."""
    depacketiser = make_track_depacketiser(VIDEO)
    assert depacketiser is not None
    units = [unit for packet in client.packets(channel) for unit in depacketiser.receive(packet)]
    return [unit.data[-5:] for unit in units]


def slices(*numbers: int) -> list[bytes]:
    """The slices of pictures."""
    return [picture(number).data[-5:] for number in numbers]


def test_a_late_joiner_begins_with_the_key_frame(rtsp: World) -> None:
    """A viewer gets everything since the newest key frame at once, and then what comes, as RTP without gaps."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    assert pictures(client) == slices(25, 26, 27, 28, 29)
    for frame in both(30, 33):
        stream.push(frame)
    rtsp.pass_time(0.2)
    assert pictures(client) == slices(25, 26, 27, 28, 29, 30, 31, 32)
    for channel in (0, 2):
        numbers = [packet.sequence for packet in client.packets(channel)]
        assert [(b - a) % 65536 for a, b in pairwise(numbers)] == [1] * (len(numbers) - 1)


def test_the_response_comes_first(rtsp: World) -> None:
    """The response to PLAY is in front of the media, and RTP-Info tells with which packets they begin."""
    rtsp.stream()
    client = rtsp.client()
    response = client.play()
    info = {}
    for entry in response.headers.get("RTP-Info").split(","):
        fields = dict(field.split("=", 1) for field in entry.split(";"))
        info[fields["url"]] = fields
    assert [*info] == [f"{URL}/trackID=1", f"{URL}/trackID=2"]
    for channel, fields in zip((0, 2), info.values(), strict=True):
        first = client.packets(channel)[0]
        assert (int(fields["seq"]), int(fields["rtptime"])) == (first.sequence, first.timestamp)
    assert client.raw.index(b"RTP-Info") < client.raw.index(b"$")


def test_sender_reports(rtsp: World) -> None:
    """Sound and pictures come with sender reports in front of them, of the same moment, and again every 5 s."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    assert [frame.channel for frame in client.frames[:2]] == [1, 3]
    reports = [rtcp.parse(frame.data)[0] for frame in client.frames if frame.channel in (1, 3)]
    assert all(isinstance(report, rtcp.SenderReport) for report in reports)
    assert len({report.ntp_timestamp for report in reports if isinstance(report, rtcp.SenderReport)}) == 1
    for frame in both(30, 30 + 150):
        stream.push(frame)
    rtsp.pass_time(0.2)
    assert len([frame for frame in client.frames if frame.channel == 1]) == 2


def test_pause_and_play(rtsp: World) -> None:
    """PAUSE stops the media; PLAY goes on with a key frame that was not seen yet; PLAY meanwhile is a sign of life."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    assert client.status("PLAY") == 200
    assert client.status("PAUSE") == 200
    before = len(client.frames)
    for frame in both(30, 40):
        stream.push(frame)
    rtsp.pass_time(0.2)
    assert len(client.frames) == before
    assert client.status("PLAY") == 200
    for frame in both(40, 52):
        stream.push(frame)
    rtsp.pass_time(0.2)
    assert pictures(client)[5:] == slices(50, 51)


def test_one_medium(rtsp: World) -> None:
    """Who sets up the sound alone gets the sound alone, on the channels that it chose."""
    rtsp.stream()
    client = rtsp.client()
    assert client.status("SETUP", f"{URL}/trackID=1", Transport="RTP/AVP/TCP;interleaved=6-7") == 200
    assert client.status("PLAY") == 200
    rtsp.pass_time(0.1)
    assert {frame.channel for frame in client.frames} == {6, 7}


def test_the_next_key_frame(rtsp: World) -> None:
    """With ?waitForIdr a viewer begins with the next key frame instead of the newest one."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play("rtsp://127.0.0.1/cam?waitForIdr")
    assert client.frames == []
    for frame in both(30, 51):
        stream.push(frame)
    rtsp.pass_time(0.2)
    assert pictures(client) == slices(50)


def test_viewers_share_a_feed(rtsp: World) -> None:
    """All viewers of the same media and channels get the very same packets, made once."""
    stream = rtsp.stream()
    clients = [rtsp.client() for _ in range(5)]
    for client in clients:
        client.play()
    assert len({tuple(frame.data for frame in client.frames if not frame.channel % 2) for client in clients}) == 1
    assert len(stream._feeds) == 1


def test_transport_stream(rtsp: World) -> None:
    """Behind /ts/ the packets have MPEG-TS in them, tables first, with the pictures and the sound of the stream."""
    rtsp.stream()
    client = rtsp.client()
    client.play("rtsp://127.0.0.1/ts/cam", media=1)
    packets = client.packets(0)
    assert {packet.payload_type for packet in packets} == {33}
    demuxer = TsDemuxer()
    samples = [event for packet in packets for event in demuxer.receive(packet.payload) if isinstance(event, Sample)]
    samples += [event for event in demuxer.flush() if isinstance(event, Sample)]
    assert len([sample for sample in samples if sample.data.endswith(tuple(slices(*range(25, 30))))]) >= 4
    assert [outbound.type_tag for outbound in rtsp.server.streams.outbound.values()] == ["ONTS"]


def test_untouched_transport_stream(rtsp: World) -> None:
    """A transport stream that came in untouched plays as what it is, without being asked for so: the same packets."""
    track = Track(0, Kind.DATA, Codec.TS)
    came = [b"".join(b"\x47" + bytes((number,)) * 187 for _ in range(10)) for number in range(4)]
    frames = [Frame(track, number * SECOND, number * SECOND, False, data) for number, data in enumerate(came)]
    stream = rtsp.stream(frames[:1])
    client = rtsp.client()
    assert b"m=video 0 RTP/AVP 33\r\n" in client.ask("DESCRIBE").body
    client.play(media=1)
    for frame in frames[1:]:
        stream.push(frame)
    rtsp.pass_time(0.2)
    sent = client.packets(0)
    assert b"".join(packet.payload for packet in sent) == b"".join(came)
    assert [len(packet.payload) // 188 for packet in sent[:2]] == [7, 3]
    assert (sent[-1].timestamp - sent[0].timestamp) % 2**32 == 3 * 90_000


def test_blocksize(rtsp: World) -> None:
    """Packets are no larger than a client wants; sizes that are nearly the same share what is made for them."""
    stream = rtsp.stream()
    for size in (300, 400, 511):
        client = rtsp.client()
        transport = TCP.format(0, 1)
        assert client.status("SETUP", f"{URL}/trackID=2", Transport=transport, Blocksize=str(size)) == 200
        assert client.status("PLAY") == 200
        rtsp.pass_time(0.1)
        assert client.packets(0)
    assert [form.packet_size for form in stream._feeds if isinstance(form, Form)] == [256]


def test_channels(rtsp: World) -> None:
    """A client can have the first channels in any order; who asks for others shares what others get, and is told so."""
    stream = rtsp.stream()
    for asked, granted in (((2, 3), (2, 3)), ((40, 41), (0, 1)), ((250, 7), (0, 1)), ((5, 5), (0, 1))):
        client = rtsp.client()
        response = client.ask("SETUP", f"{URL}/trackID=2", Transport=TCP.format(*asked))
        assert (response.status, parse_transports(response.headers.get("Transport"))[0].interleaved) == (200, granted)
        assert client.status("PLAY") == 200
        rtsp.pass_time(0.1)
        assert client.packets(granted[0])
    assert {form.channels for form in stream._feeds if isinstance(form, Form)} == {((2, 3),), ((0, 1),)}
    client = rtsp.client()
    for number, granted in ((1, (0, 1)), (2, (2, 3))):
        response = client.ask("SETUP", f"{URL}/trackID={number}", Transport=TCP.format(0, 1))
        assert parse_transports(response.headers.get("Transport"))[0].interleaved == granted


def test_the_stream_ends(rtsp: World) -> None:
    """When the stream ends viewers are told so by RTCP, the session is over, and the connection can be used for another."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    stream.end("enough")
    rtsp.pass_time(0.2)
    farewells = [frame for frame in client.frames if frame.channel in (1, 3) and frame.data[-7] == 203]
    assert {frame.channel for frame in farewells} == {1, 3}
    assert client.status("GET_PARAMETER") == 454
    client.session = ""
    rtsp.stream(name="other")
    client.play("rtsp://127.0.0.1/other")
    assert rtsp.server.streams.inbound["other"]._feeds


def test_teardown(rtsp: World) -> None:
    """TEARDOWN ends the session and its stream; the connection goes on, and another session may follow."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    assert client.status("TEARDOWN") == 200
    assert rtsp.server.streams.outbound == {}
    assert stream._feeds == {}
    client.session = ""
    client.play()


def test_hanging_up(rtsp: World) -> None:
    """Who hangs up leaves nothing behind."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    client.peer.hang_up()
    rtsp.pass_time(0.2)
    assert (rtsp.server.streams.outbound, stream._feeds, len(rtsp.server.connections)) == ({}, {}, 0)


def test_other_tracks(rtsp: World) -> None:
    """Viewers stay when parameter sets change, and are sent away when a medium that they were told of is gone."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    other = h264.make_track(0, vectors.AVCC_BASELINE)
    stream.set_tracks((other, AUDIO))
    stream.push(Frame(other, *picture(50)[1:]))
    rtsp.pass_time(1.2)
    assert client.status("GET_PARAMETER") == 200
    stream.set_tracks((AUDIO,))
    rtsp.pass_time(1.2)
    assert client.status("GET_PARAMETER") == 454


def test_a_slow_viewer_skips(rtsp: World) -> None:
    """A viewer that does not read costs no more than a batch, and goes on with a key frame when it reads again."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    client.peer.transport.hold()
    big = bytes(200_000)
    for number in range(30, 200):
        frame = picture(number)
        stream.push(frame._replace(data=(len(big) + 5).to_bytes(4, "big") + frame.data[4:] + big))
    rtsp.pass_time(1)
    assert client.peer.transport.held_bytes < Feed.MAX_BYTES
    client.peer.transport.release()
    rtsp.pass_time(1)
    outbound = next(iter(rtsp.server.streams.outbound.values()))
    assert outbound.statistics.video.dropped_packets > 0
    assert client.connected


def test_asking_without_reading(rtsp: World) -> None:
    """Who asks and asks and never reads the answers is turned out."""
    client = rtsp.client()
    client.peer.transport.hold()
    for number in range(40):
        client.send(b"".join(b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\n\r\n" % (number * 100 + n) for n in range(100)))
    rtsp.pass_time(6)
    assert not client.connected


def test_statistics(rtsp: World) -> None:
    """listStreams tells what a viewer plays, from whom, and what it got; listConnections what the connection is."""
    stream = rtsp.stream()
    client = rtsp.client()
    client.play()
    outbound = next(iter(rtsp.server.streams.outbound.values()))
    told = describe_stream(outbound, 0)
    assert (told["type"], told["name"], told["inStreamUniqueId"]) == ("ONP", "cam", stream.id)
    assert told["video"]["packetsCount"] == 5
    assert client.peer.protocol.tags == ("TCP", "RTSP")
    assert client.peer.protocol.streams == [outbound]


def test_nonsense_between(rtsp: World) -> None:
    """Frames on channels that nobody has set up, and broken reports, are passed over."""
    rtsp.stream()
    client = rtsp.client()
    client.play()
    client.send(b"$\xff\0\5hello$\1\0\3abc$\0\0\0")
    assert client.status("GET_PARAMETER") == 200


def test_the_whole_path(rtsp: World) -> None:
    """Who has published at /live/cam can be played there, and at /cam."""
    rtsp.stream()
    assert rtsp.client().status("DESCRIBE", "rtsp://h/live/cam") == 200


def test_real_names_are_hidden() -> None:
    """With aliases on, the last part of a path does not help around them."""
    rtsp = World(application(has_stream_aliases=True))
    rtsp.stream()
    assert rtsp.client().status("DESCRIBE", "rtsp://h/live/cam") == 404
