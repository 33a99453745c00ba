"""Pulls over UDP: real sockets on loopback, beside a scripted RTSP connection."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from twisted.logger import LogEvent

from ems.formats import rtcp
from ems.protocols.rtsp.client_sockets import HOLE
from ems.protocols.rtsp.transport import parse_transports
from ems.testing import RecordingSink
from tests.conversation import in_memory
from tests.service.rtsp.far_rtsp import SESSION, FarRtsp, FarRtspWorld
from tests.service.rtsp.sources import Camera, numbers

HOST = "127.0.0.1"
URI = f"rtsp://{HOST}/cam"


@pytest.fixture
def world(log_events: list[LogEvent], monkeypatch: pytest.MonkeyPatch) -> Iterator[FarRtspWorld]:
    """Our server, and a network of scripted ones. Fails the test when the log has a traceback or anything is left."""
    made = FarRtspWorld()
    monkeypatch.setattr("ems.protocols.rtsp.incoming.monotonic_ns", lambda: int(made.clock.seconds() * 1e9))
    yield made
    made.close()
    assert [event for event in log_events if "log_failure" in event] == []


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    """The socket that a source sends from."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as made:
        made.bind((HOST, 0))
        made.settimeout(5)
        yield made


async def grant(far: FarRtsp, sender: socket.socket) -> tuple[int, int]:
    """Let a medium come over UDP; returns the client's ports."""
    asked = await far.asked("SETUP")
    (wish,) = parse_transports(asked.headers.get("Transport"))
    assert wish.client_port is not None
    port = sender.getsockname()[1]
    far.answer(asked, Session=SESSION, Transport=f"{asked.headers.get('Transport')};server_port={port}-{port}")
    return wish.client_port


@in_memory
async def test_media_over_udp(world: FarRtspWorld, sender: socket.socket) -> None:
    """Packets come to two pairs of ports, in any order; the way is opened from our side, and reports go back."""
    camera = Camera()
    attempt = world.pull(URI, forceTcp=False)
    far = await world.far()
    await far.open(camera.sdp)
    ports = [await grant(far, sender), await grant(far, sender)]
    assert all(rtp % 2 == 0 and control == rtp + 1 for rtp, control in ports)
    await far.play()
    assert sender.recv(2048) == HOLE
    for index, packet in camera.reports():
        sender.sendto(packet, (HOST, ports[index][1]))
    packets = camera.pictures(5)
    packets[3], packets[5] = packets[5], packets[3]
    for index, packet in packets:
        sender.sendto(packet, (HOST, ports[index][0]))
    sink = RecordingSink()
    await world.until(lambda: world.network.read_udp() or "mine" in world.server.streams.inbound)
    world.server.streams.inbound["mine"].add_sink(sink)
    assert numbers(sink.frames) == [*range(5)]
    await world.seconds(6)
    heard = [sender.recv(2048) for _ in range(5)]
    assert any(one[1] == 201 and isinstance(rtcp.parse(one)[0], rtcp.ReceiverReport) for one in heard if one != HOLE)
    counters = world.server.connections.counters
    assert counters["managedUdp"].current == 4
    (connection,) = world.server.connections
    # The bytes of media are those of the connection, while it lasts and afterwards.
    assert connection.bytes_received > sum(len(packet) for _, packet in packets)
    attempt.stop("enough")
    await world.ended()
    assert (counters["managedUdp"].in_bytes, counters["managedUdp"].out_bytes) == (0, 0)


@in_memory
async def test_loss_costs_pictures_up_to_the_next_key_frame(world: FarRtspWorld, sender: socket.socket) -> None:
    """Nothing damaged is passed on: pictures go on with the next key frame."""
    camera = Camera(sound=False)
    world.pull(URI, forceTcp=False)
    far = await world.far()
    await far.open(camera.sdp)
    rtp, _ = await grant(far, sender)
    await far.play()
    packets = camera.pictures(20, 3000)
    del packets[12]
    for _, packet in packets:
        sender.sendto(packet, (HOST, rtp))
    await world.until(lambda: world.network.read_udp() or "mine" in world.server.streams.inbound)
    stream = world.server.streams.inbound["mine"]
    await world.until(lambda: world.network.read_udp() or stream.frame_count >= 12)
    sink = RecordingSink()
    stream.add_sink(sink)
    assert numbers(sink.frames) == [*range(15, 20)]
    await world.seconds(1.1)
    # Pictures 3, of which a part is missing, and 4 are left out, and nothing else.
    assert stream.frame_count == 18
    assert stream.statistics.video.dropped_packets == 2
    assert stream.details["lostPackets"] == "1"


@in_memory
async def test_strangers_are_not_heard(world: FarRtspWorld) -> None:
    """Packets from another host than the server's are dropped."""
    camera = Camera(sound=False)
    world.pull("rtsp://192.0.2.1/cam", forceTcp=False)
    far = await world.far()
    await far.open(camera.sdp)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
        stranger.bind((HOST, 0))
        rtp, _ = await grant(far, stranger)
        await far.play()
        for _, packet in camera.pictures(5):
            stranger.sendto(packet, (HOST, rtp))
        for _ in range(10):
            world.network.read_udp()
            await world.seconds(0.1)
    assert "mine" not in world.server.streams.inbound


@in_memory
async def test_nothing_comes_over_udp(world: FarRtspWorld, sender: socket.socket) -> None:
    """After five seconds without a packet the media are asked for inside the connection; it is one attempt."""
    camera = Camera(sound=False)
    world.pull(URI, forceTcp=False)
    far = await world.far()
    await far.open(camera.sdp)
    await grant(far, sender)
    await far.play()
    await far.asked("TEARDOWN")
    far = await world.far()
    await far.open(camera.sdp)
    assert "RTP/AVP/TCP" in (await far.set_up()).headers.get("Transport")
    await far.play()
    for index, packet in camera.pictures(5):
        far.frame(2 * index, packet)
    await world.until(lambda: "mine" in world.server.streams.inbound)
    assert world.observer.reason is None


@in_memory
async def test_a_server_without_udp(world: FarRtspWorld) -> None:
    """461: the same connection goes on with interleaved media, and no port stays open."""
    camera = Camera()
    world.pull(URI, forceTcp=False)
    far = await world.far()
    await far.open(camera.sdp)
    far.answer(await far.asked("SETUP"), 461)
    assert (await far.set_up()).headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=0-1"
    assert (await far.set_up()).headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=2-3"
    assert world.network.readers == []
    await far.play()


@in_memory
async def test_a_server_that_decides_for_tcp(world: FarRtspWorld) -> None:
    """Asked for UDP, a server grants what it likes: it counts."""
    camera = Camera(sound=False)
    world.pull(URI, forceTcp=False)
    far = await world.far()
    await far.open(camera.sdp)
    await far.set_up(Transport="RTP/AVP/TCP;unicast;interleaved=4-5")
    assert world.network.readers == []
    await far.play()
    for _, packet in camera.pictures(5):
        far.frame(4, packet)
    await world.until(lambda: "mine" in world.server.streams.inbound)


@in_memory
async def test_no_transport_at_all(world: FarRtspWorld) -> None:
    """A server that grants nothing ends the attempt, and every port is given back."""
    world.pull(URI, forceTcp=False)
    far = await world.far()
    await far.open(Camera().sdp)
    for _ in range(3):
        far.answer(await far.asked("SETUP"), 461)
    assert await world.ended() == "SETUP refused: 461 Unsupported Transport"
    assert world.network.readers == []


@pytest.mark.parametrize("answer", ["RTP/AVP;multicast", "RTP/AVP;multicast;destination=10.0.0.1;port=5000-5001"])
@in_memory
async def test_multicast_to_nowhere(world: FarRtspWorld, answer: str) -> None:
    """A server that grants multicast must say to which group."""
    world.pull(URI, forceTcp=False)
    far = await world.far()
    await far.open(Camera(sound=False).sdp)
    await far.set_up(Transport=answer)
    assert await world.ended() == "the server does not say to which group it sends"
