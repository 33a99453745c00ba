"""Publishing: what a client announces and sends becomes a stream."""

from typing import Any

import pytest

from ems.formats.mpegts.mux import TsMuxer
from ems.formats.rtp.packetise import make_packetiser, make_ts_packetiser
from ems.formats.sdp import SessionDescription, media_of, transport_stream_media
from ems.media.frame import SECOND
from ems.protocols.rtsp import wire
from ems.protocols.rtsp.server import RtspConnection
from ems.testing import RecordingSink
from tests.service.rtsp.clients import AUDIO, TCP, VIDEO, Client, World, application, both
from tests.service.rtsp.sources import Camera

NEW = "rtsp://h/live/new"


def announce(client: Client, url: str = NEW, name: str = "No Name", *, ts: bool = False) -> int:
    """Announce pictures and sound, or a transport stream."""
    tracks = [media_of(VIDEO, 96, control="streamid=0"), media_of(AUDIO, 97, control="streamid=1")]
    medias: list[Any] = [transport_stream_media(control="streamid=0")] if ts else tracks
    return client.status("ANNOUNCE", url, bytes(SessionDescription(name=name, medias=medias)), Content_Type="application/sdp")


def record(client: Client, url: str = NEW, media: int = 2) -> None:
    """Set up and record."""
    for number in range(media):
        transport = TCP.format(2 * number, 2 * number + 1) + ";mode=record"
        assert client.status("SETUP", f"{url}/streamid={number}", Transport=transport) == 200
    assert client.status("RECORD", url) == 200


def packets() -> list[tuple[int, bytes]]:
    """Two seconds of pictures and sound: channels and packets."""
    senders = {track.id: make_packetiser(track, payload_type=96 + n, ssrc=n) for n, track in enumerate((VIDEO, AUDIO))}
    found = []
    for frame in both(0, 100):
        sender = senders[frame.track.id]
        assert sender is not None
        ticks = frame.pts * sender.clock_rate // SECOND
        found += [(0 if frame.track is VIDEO else 2, packet) for packet in sender.packets(frame, ticks)]
    return found


def test_publish(rtsp: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published inside the connection comes out as it was sent, under the last part of the path."""
    now = [0]
    monkeypatch.setattr("ems.protocols.rtsp.incoming.monotonic_ns", lambda: now[0])
    client = rtsp.client()
    assert announce(client) == 200
    record(client)
    stream = rtsp.server.streams.inbound["new"]
    sink = RecordingSink()
    stream.add_sink(sink)
    for number, (channel, packet) in enumerate(packets()):
        now[0] = number * 13_000_000
        client.send(wire.interleaved(channel, packet))
    assert (stream.type_tag, {track.codec for track in stream.tracks}) == ("INP", {VIDEO.codec, AUDIO.codec})
    sent = [frame.data for frame in both(0, 100) if frame.track is AUDIO]
    got = [frame.data for frame in sink.frames if frame.track.codec is AUDIO.codec]
    assert got
    assert got == sent[-len(got) :]
    assert client.peer.protocol.streams == [stream]
    assert client.status("TEARDOWN", NEW) == 200
    assert "new" not in rtsp.server.streams.inbound
    assert sink.reason == "the client has left"


def test_ingest_points_hide_the_name(rtsp: World) -> None:
    """With ingest points on, what a client announces is the private name, and nothing else can be published."""
    points = rtsp.server.ingest_points
    points.enabled = True
    points._add("secret", "public")
    client, intruder = rtsp.client(), rtsp.client()
    assert announce(client, "rtsp://h/live/secret") == 200
    record(client, "rtsp://h/live/secret")
    assert announce(intruder, "rtsp://h/live/public") == 403
    [stream] = rtsp.server.streams.inbound.values()
    assert (stream.name, stream.details["ingestPoint"]) == ("public", "secret")


def test_a_wait_for_reports_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher keeps its stream while its reports are waited for, even longer than silent streams live; a silent one ends."""
    monkeypatch.setattr("ems.protocols.rtsp.incoming.monotonic_ns", lambda: 0)
    limit = 5
    rtsp = World(application(streams_expire_timer=limit))
    client = rtsp.client()
    announce(client)
    record(client)
    stream = rtsp.server.streams.inbound["new"]
    for channel, packet in packets()[: 3 * limit]:
        client.send(wire.interleaved(channel, packet))
        rtsp.pass_time(1)
    assert rtsp.server.streams.inbound["new"] is stream
    assert stream.statistics.audio.packets == 0
    rtsp.pass_time(2 * limit + 2)
    assert "new" not in rtsp.server.streams.inbound
    rtsp.server.streams.stopService()


def test_receiver_reports(rtsp: World) -> None:
    """A publisher hears every five seconds how its media arrive."""
    client = rtsp.client()
    announce(client)
    record(client)
    for channel, packet in packets()[:50]:
        client.send(wire.interleaved(channel, packet))
    rtsp.pass_time(6)
    assert [(frame.channel, frame.data[1]) for frame in client.frames] == [(1, 201), (3, 201)]


def test_reports_that_nobody_reads(rtsp: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher that reads nothing is turned out when too much waits for it, be it in the middle of its reports."""
    client = rtsp.client()
    announce(client)
    record(client)
    for channel, packet in packets()[:50]:
        client.send(wire.interleaved(channel, packet))
    monkeypatch.setattr(RtspConnection, "MAX_UNSENT", -1)
    rtsp.pass_time(6)
    assert not client.connected


def test_the_clock_of_the_publisher(rtsp: World) -> None:
    """With sender reports a publisher's clock is known: useSourcePts has it, and the wait for the reports is told."""
    camera, url = Camera(), NEW
    client = rtsp.client()
    assert client.status("ANNOUNCE", url, camera.sdp.encode(), Content_Type="application/sdp") == 200
    for index in range(2):
        transport = TCP.format(2 * index, 2 * index + 1) + ";mode=record"
        assert client.status("SETUP", f"{url}/trackID={index}", Transport=transport) == 200
    assert client.status("RECORD", url) == 200
    for index, packet in camera.reports():
        client.send(wire.interleaved(2 * index + 1, packet))
    for index, packet in camera.pictures(3):
        client.send(wire.interleaved(2 * index, packet))
    stream = rtsp.server.streams.inbound["new"]
    assert abs(stream.origin - camera.wall) < SECOND
    assert (stream.details["rtcpWait"], stream.details["synchronisation"]) == ("0.0", "rtcp")


def test_transport_stream(rtsp: World) -> None:
    """MPEG-TS in RTP may be published as well."""
    client = rtsp.client()
    assert announce(client, ts=True) == 200
    record(client, media=1)
    muxer, sender = TsMuxer((VIDEO, AUDIO)), make_ts_packetiser(ssrc=1)
    for frame in both(0, 50):
        data = (muxer.psi() if frame.keyframe else b"") + muxer.frame(frame)
        for packet in sender.packets(data, frame.dts * 9 // 100_000):
            client.send(wire.interleaved(0, packet))
    stream = rtsp.server.streams.inbound["new"]
    assert {track.codec for track in stream.tracks} == {VIDEO.codec, AUDIO.codec}
    assert stream.frame_count > 100


def test_name_of_the_description(rtsp: World) -> None:
    """Without a path the stream is called as the SDP says."""
    client = rtsp.client()
    assert announce(client, "rtsp://h/", "studio") == 200
    record(client, "rtsp://h")
    assert [*rtsp.server.streams.inbound] == ["studio"]


def test_two_want_one_name(rtsp: World) -> None:
    """Who records first has the name, whoever announced first."""
    first, second = rtsp.client(), rtsp.client()
    assert announce(first) == announce(second) == 200
    record(second)
    for number in range(2):
        first.status("SETUP", f"{NEW}/streamid={number}", Transport=TCP.format(2 * number, 2 * number + 1))
    assert first.status("RECORD", NEW) == 403


def test_hanging_up(rtsp: World) -> None:
    """A publisher that is gone takes its stream along."""
    client = rtsp.client()
    announce(client)
    record(client)
    client.peer.hang_up()
    rtsp.pass_time(0.2)
    assert rtsp.server.streams.inbound == {}


def test_garbage(rtsp: World) -> None:
    """Packets that are none cost themselves only."""
    client = rtsp.client()
    announce(client)
    record(client)
    for channel in (0, 1, 2, 3, 200):
        for data in (b"", b"\x80", bytes(12), b"\xff" * 65535, b"\x80\x60" + bytes(20), b"\x81\xc8\0\xff" + bytes(8)):
            client.send(wire.interleaved(channel, data))
    assert client.status("GET_PARAMETER", NEW) == 200


def test_closing_the_stream(rtsp: World) -> None:
    """An operator who shuts the stream down closes the publisher's connection."""
    client = rtsp.client()
    announce(client)
    record(client)
    rtsp.server.streams.inbound["new"].close("shut down")
    rtsp.pass_time(0.2)
    assert not client.connected


def test_losses_are_told(rtsp: World) -> None:
    """getStreamInfo says how many packets were lost on the way from a publisher, and how many pictures that cost."""
    client = rtsp.client()
    announce(client)
    record(client)
    sent = packets()
    del sent[next(number for number, (channel, _) in enumerate(sent) if number > 40 and channel == 0)]
    for channel, packet in sent:
        client.send(wire.interleaved(channel, packet))
    rtsp.pass_time(1.1)
    stream = rtsp.server.streams.inbound["new"]
    assert stream.details["lostPackets"] == "1"
    assert stream.statistics.video.dropped_packets
