"""Transport streams that leave: pushes over UDP and TCP, of parsed sources and of untouched ones."""

import socket
from itertools import pairwise

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.protocols.mpegts.mapping import UNTOUCHED
from tests.service.mpegts.worlds import LoopbackTs, contents, received
from tests.ts_analyser import Analysis, analyse
from tests.ts_streams import broadcast, demuxed, muxed, pid_of, samples, split

FRAMES = broadcast(50, size=20_000)
"""Two seconds of 4 Mbit/s, with a key frame each 400 ms."""

STREAM = muxed(broadcast(25))
NULL_PID = 0x1FFF

IP_RECVTTL = 12
"""Linux: linux/in.h; Python does not name it."""


def looked_over(packets: bytes) -> Analysis:
    """What the analyser says of it; AssertionError when it complains."""
    found = analyse(packets)
    assert found.errors == []
    return found


def target(receiver: socket.socket, query: str = "") -> str:
    """The address of a receiver."""
    return f"mpegtsudp://127.0.0.1:{receiver.getsockname()[1]}{query}"


def untouched_frames() -> list[Frame]:
    """A source's packets as they might come."""
    pieces = [STREAM[start : start + 188 * 20] for start in range(0, len(STREAM), 188 * 20)]
    return [Frame(UNTOUCHED, n * 5 * MILLISECOND, n * 5 * MILLISECOND, False, piece) for n, piece in enumerate(pieces)]


@pytest_twisted.ensureDeferred
async def test_udp_gets_a_stream_without_fault(loopback: LoopbackTs) -> None:
    """Counters, tables and clocks are right, the tables come each 500 ms, and datagrams have seven packets."""
    receiver = loopback.udp()
    job = await loopback.push(target(receiver))
    await loopback.play(FRAMES, receivers=1)
    datagrams = received(receiver)
    assert job.successes == 1
    assert max(map(len, datagrams)) == 1316
    assert sum(len(one) == 1316 for one in datagrams) > len(datagrams) * 0.8
    found = looked_over(b"".join(datagrams))
    assert found.stream_types == {256: 0x1B, 257: 0x0F}
    assert max(b - a for a, b in pairwise(found.pcr)) <= 27_000_000 // 10
    tables = [index for index, packet in enumerate(split(b"".join(datagrams))) if pid_of(packet) == 0]
    assert tables[0] == 0, "the first thing to come is a table"
    assert len(tables) >= 5
    heard = [sample.data for sample in samples(demuxed(b"".join(datagrams)), Kind.AUDIO)]
    assert heard == contents(FRAMES, Kind.AUDIO)
    assert len(found.units[256]) == 50


@pytest_twisted.ensureDeferred
async def test_a_key_frame_does_not_come_as_one_burst(loopback: LoopbackTs) -> None:
    """A picture of 300 KB takes most of the time until the next one."""
    receiver = loopback.udp()
    await loopback.push(target(receiver))
    playing = ensureDeferred(loopback.play(broadcast(3, size=300_000), receivers=1))
    arrivals: list[tuple[float, int]] = []

    def all_there() -> bool:
        arrivals.extend((loopback.reactor.seconds(), len(one)) for one in received(receiver))
        return sum(size for _, size in arrivals) > 900_000

    await loopback.until(all_there, "the pictures")
    await playing
    first = [moment for index, (moment, _) in enumerate(arrivals) if index < 300_000 // 1316]
    assert first[-1] - first[0] > 0.02


@pytest_twisted.ensureDeferred
async def test_a_receiver_joins_with_a_key_frame(loopback: LoopbackTs) -> None:
    """A push of a stream that runs already begins with tables and a key frame."""
    receiver = loopback.udp()
    playing = ensureDeferred(loopback.play(FRAMES))
    await loopback.until(lambda: loopback.server.streams.inbound["cam"].frame_count > 30, "the stream to run")
    await loopback.push(target(receiver))
    await playing
    packets = b"".join(received(receiver))
    looked_over(packets)
    first = next(one for one in samples(demuxed(packets)) if one.track.kind is Kind.VIDEO)
    assert first.keyframe


@pytest_twisted.ensureDeferred
async def test_ip_headers_say_what_was_asked_for(loopback: LoopbackTs) -> None:
    """ttl and tos of the push are those of its packets."""
    receiver = loopback.udp()
    receiver.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    await loopback.push(target(receiver), ttl=17, tos=184)
    await loopback.play(broadcast(3), receivers=1)
    _, ancillary, _, _ = receiver.recvmsg(2000, 200)
    assert {kind: value[0] for _, kind, value in ancillary} == {socket.IP_TTL: 17, socket.IP_TOS: 184}


@pytest_twisted.ensureDeferred
async def test_a_constant_rate_is_made_of_null_packets(loopback: LoopbackTs) -> None:
    """With ?bitrate the push sends that many bits a second, and its stream is as good as without."""
    receiver = loopback.udp()
    await loopback.push(target(receiver, "?bitrate=3000000"))
    seconds = await loopback.play(broadcast(50, size=4000), receivers=1)
    packets = split(b"".join(received(receiver)))
    assert len(packets) * 188 * 8 / seconds == pytest.approx(3_000_000, rel=0.1)
    assert sum(pid_of(packet) == NULL_PID for packet in packets) > len(packets) // 2
    found = looked_over(b"".join(packet for packet in packets if pid_of(packet) != NULL_PID))
    assert len(found.units[256]) >= 48


@pytest.mark.parametrize("query", ["?bitrate=fast", "?bitrate=1", "?bitrate=99999999999"])
@pytest_twisted.ensureDeferred
async def test_a_rate_that_makes_no_sense_is_refused(loopback: LoopbackTs, query: str) -> None:
    """The push fails and says which rates there are."""
    job = await loopback.push(target(loopback.udp(), query), keepAlive=False)
    await loopback.play(broadcast(3))
    assert "bitrate: expected 64000 to 200000000" in job.status.current.reason + job.status.previous.reason


@pytest_twisted.ensureDeferred
async def test_tcp_gets_everything_since_the_last_key_frame(loopback: LoopbackTs) -> None:
    """Over TCP a push that comes late begins with the newest key frame at once, and misses nothing after it."""
    port, accepted = await loopback.listen()
    playing = ensureDeferred(loopback.play(FRAMES))
    await loopback.until(lambda: loopback.server.streams.inbound["cam"].frame_count > 30, "the stream to run")
    await loopback.push(f"mpegtstcp://127.0.0.1:{port}")
    await playing
    await loopback.until(lambda: accepted and accepted[0].lost, "the push to end with its source")
    found = looked_over(accepted[0].received)
    [first, *_] = samples(demuxed(accepted[0].received), Kind.VIDEO)
    assert first.keyframe
    assert 20 < len(found.units[256]) < 50
    heard = [sample.data for sample in samples(demuxed(accepted[0].received), Kind.AUDIO)]
    assert heard == contents(FRAMES, Kind.AUDIO)[-len(heard) :]


@pytest_twisted.ensureDeferred
async def test_an_untouched_source_is_pushed_untouched(loopback: LoopbackTs) -> None:
    """The packets of a passthrough source leave as they came, over UDP and over TCP."""
    receiver = loopback.udp()
    port, accepted = await loopback.listen()
    await loopback.push(target(receiver), "cam_ts")
    await loopback.push(f"mpegtstcp://127.0.0.1:{port}", "cam_ts")
    stream = loopback.server.streams.register("cam_ts", type_tag="INS", source=None)
    stream.set_tracks((UNTOUCHED,))
    await loopback.until(lambda: len(stream.outbound) == 2, "both pushes")
    assert {one.type_tag for one in stream.outbound.values()} == {"ONS"}
    first, *others = untouched_frames()
    stream.push(first)
    await loopback.until(lambda: accepted[0].received, "the first packets")
    for frame in others:
        stream.push(frame)
    datagrams: list[bytes] = []
    await loopback.until(lambda: datagrams.extend(received(receiver)) or b"".join(datagrams) == STREAM, "all over UDP")
    await loopback.until(lambda: accepted[0].received == STREAM, "all over TCP")
    stream.end("it is over")


@pytest_twisted.ensureDeferred
async def test_what_the_format_cannot_carry_is_told(loopback: LoopbackTs) -> None:
    """A push of VP8 alone ends with the reason."""
    receiver = loopback.udp()
    job = await loopback.push(target(receiver))
    stream = loopback.server.streams.register("cam", type_tag="INR", source=None)
    track = Track(1, Kind.VIDEO, Codec.VP8)
    stream.set_tracks((track,))

    def refused() -> bool:
        stream.push(Frame(track, 0, 0, True, b"picture"))
        return "MPEG-TS can carry" in job.status.previous.reason + job.status.current.reason

    await loopback.until(refused, "the reason")
    stream.end("it is over")
    assert received(receiver) == []


@pytest_twisted.ensureDeferred
async def test_a_relay_of_servers_keeps_every_frame(loopback: LoopbackTs) -> None:
    """A stream that is pushed over TCP to another port of a server, or pulled from it, is the same stream."""
    sink = loopback.watch()
    port = loopback.acceptor("inboundTcpTs", local_stream_name="copy").port
    await loopback.push(f"mpegtstcp://127.0.0.1:{port}")
    await loopback.play(FRAMES, receivers=1)
    await loopback.until(lambda: sink.reason is not None, "the copy to end")
    copies = [frame for frame in sink.frames if frame.track.id in (256, 257)]
    assert contents(copies, Kind.AUDIO) == contents(FRAMES, Kind.AUDIO)
    assert len(contents(copies, Kind.VIDEO)) == 50


@pytest_twisted.ensureDeferred
async def test_a_pull_connects_to_a_server(loopback: LoopbackTs) -> None:
    """dmpegtstcp connects out, and comes again when the server has closed."""
    sink = loopback.watch()
    port, accepted = await loopback.listen()
    job = await loopback.pull(f"dmpegtstcp://127.0.0.1:{port}")
    await loopback.until(lambda: accepted, "the pull to connect")
    accepted[0].send(STREAM)
    await loopback.until(lambda: len(contents(sink.frames, Kind.VIDEO)) >= 24, "the pictures")
    assert loopback.server.streams.inbound["cam"].type_tag == "INTS"
    accepted[0].transport.loseConnection()
    await loopback.until(lambda: len(accepted) == 2, "the pull to connect again")
    assert job.attempts == 2


@pytest_twisted.ensureDeferred
async def test_a_pull_can_wait_for_one_connection(loopback: LoopbackTs) -> None:
    """With ?listen the server waits; after one has come, the port is closed to others, and open again when he has gone."""
    probe = socket.create_server(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    sink = loopback.watch()
    await loopback.pull(f"mpegtstcp://127.0.0.1:{port}?listen")
    sender = await loopback.connect(port)
    sender.send(STREAM)
    await loopback.until(lambda: "cam_ts" in loopback.server.streams.inbound, "the stream")
    with socket.socket() as late:
        assert late.connect_ex(("127.0.0.1", port)) != 0
    await loopback.until(lambda: b"".join(contents(sink.frames, Kind.DATA)) == STREAM, "the packets")
    sender.transport.loseConnection()

    def open_again() -> bool:
        with socket.socket() as other:
            return other.connect_ex(("127.0.0.1", port)) == 0

    await loopback.until(open_again, "the port to be open again")


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there_is_told(loopback: LoopbackTs) -> None:
    """A pull from a port where nobody listens fails and says why."""
    probe = socket.create_server(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    job = await loopback.pull(f"dmpegtstcp://127.0.0.1:{port}")
    await loopback.until(lambda: "refused" in job.status.previous.reason + job.status.current.reason, "the reason")
