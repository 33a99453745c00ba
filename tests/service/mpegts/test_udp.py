"""Transport streams that come in over UDP: the acceptor, and pulls."""

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
import pytest_twisted

from ems.config import AcceptorConfig
from ems.errors import CommandError
from ems.formats.rtp.packet import build
from ems.media.track import Codec, Kind
from ems.net.datagrams import DatagramListener
from ems.plugins import acceptor_protocols
from tests.processes import free_port
from tests.service.mpegts.worlds import LoopbackTs, contents
from tests.ts_streams import broadcast, muxed

STREAM = muxed(broadcast(25))
DATAGRAMS = [STREAM[start : start + 1316] for start in range(0, len(STREAM), 1316)]


def send(sender: socket.socket, port: int, datagrams: Sequence[bytes] = DATAGRAMS) -> None:
    """Send a second of a stream at once."""
    for datagram in datagrams:
        sender.sendto(datagram, ("127.0.0.1", port))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders may follow one another at once."""
    monkeypatch.setattr(DatagramListener, "RESTART_SECONDS", 0.0)


@pytest_twisted.ensureDeferred
async def test_the_stream_comes_goes_and_comes_back(loopback: LoopbackTs, impatient: None) -> None:
    """What is sent to the port is a stream, which ends when nobody sends any more, and begins again when somebody does."""
    sink, streams = loopback.watch(), loopback.server.streams.inbound
    port = loopback.acceptor("inboundUdpTs", local_stream_name="cam").port
    sender = loopback.udp()
    send(sender, port)
    await loopback.until(lambda: len(contents(sink.frames, Kind.VIDEO)) >= 24, "the pictures")
    stream = streams["cam"]
    assert stream.type_tag == "INTS"
    assert stream.details["transportStream"]["continuityErrors"] == 0
    [connection] = loopback.server.connections
    assert connection.tags == ("UDP", "ITS")
    assert connection.far == sender.getsockname()
    await loopback.until(lambda: not streams, "the end of the stream")
    send(loopback.udp(), port)
    await loopback.until(lambda: "cam" in streams, "the stream to come back")


@pytest_twisted.ensureDeferred
async def test_rtp_around_the_packets_is_understood(loopback: LoopbackTs) -> None:
    """A sender that puts RTP around its packets gives the same stream, whatever overtakes on the way."""
    sink = loopback.watch()
    port = loopback.acceptor("inboundUdpTs").port
    numbered = [build(33, number, 0, 1, datagram) for number, datagram in enumerate(DATAGRAMS)]
    numbered[4:6] = reversed(numbered[4:6])
    send(loopback.udp(), port, numbered)
    await loopback.until(lambda: len(contents(sink.frames, Kind.VIDEO)) >= 24, "the pictures")
    [stream] = loopback.server.streams.inbound.values()
    assert stream.source is not None
    stream.source.tick(0)
    report = stream.details["transportStream"]
    assert (report["lostSyncs"], report["continuityErrors"]) == (0, 0)


@pytest_twisted.ensureDeferred
async def test_a_second_sender_does_not_disturb_the_first(loopback: LoopbackTs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two senders at one port do not make one broken stream; when the first falls silent the second goes on in its place."""
    monkeypatch.setattr(DatagramListener, "TAKEOVER_SECONDS", 0.3)
    sink = loopback.watch()
    port = loopback.acceptor("inboundUdpTs", local_stream_name="cam").port
    first, second = loopback.udp(), loopback.udp()
    for one in DATAGRAMS:
        first.sendto(one, ("127.0.0.1", port))
        second.sendto(DATAGRAMS[0], ("127.0.0.1", port))
    await loopback.until(lambda: len(contents(sink.frames, Kind.VIDEO)) >= 24, "the pictures of the first")
    [stream] = loopback.server.streams.inbound.values()
    assert stream.source is not None
    stream.source.tick(0)
    assert stream.details["transportStream"]["continuityErrors"] == 0
    seen = len(sink.frames)

    def taken_over() -> bool:
        send(second, port)
        return len(sink.frames) > seen + 10

    await loopback.until(taken_over, "the second to go on")
    assert [*loopback.server.streams.inbound.values()] == [stream]


@pytest_twisted.ensureDeferred
async def test_the_same_port_serves_both_transports(loopback: LoopbackTs) -> None:
    """The acceptors of TCP and of UDP may have the same number; two of a kind may not."""
    port = loopback.acceptor("inboundTcpTs", port=free_port()).port
    loopback.acceptor("inboundUdpTs", port=port)
    with pytest.raises(CommandError, match="is taken"):
        loopback.acceptor("inboundUdpTs", port=port)


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_an_error(loopback: LoopbackTs) -> None:
    """An acceptor that cannot bind says which, and why."""
    taken = loopback.udp().getsockname()[1]
    with pytest.raises(CommandError, match=f"cannot listen on inboundUdpTs 127.0.0.1:{taken}: Address already in use"):
        loopback.acceptor("inboundUdpTs", port=taken)


@pytest_twisted.ensureDeferred
async def test_senders_can_be_turned_away(loopback: LoopbackTs, tmp_path: Path) -> None:
    """The lists of addresses of an acceptor hold for UDP as well."""
    blacklist = tmp_path / "blacklist"
    blacklist.write_text("127.0.0.1\n")
    acceptor = loopback.acceptor("inboundUdpTs", blacklist=str(blacklist))
    send(loopback.udp(), acceptor.port)
    await loopback.until(lambda: acceptor.dropped >= len(DATAGRAMS), "the datagrams to be turned away")
    assert acceptor.accepted == 0
    assert not loopback.server.streams.inbound


@pytest_twisted.ensureDeferred
async def test_a_pull_takes_what_is_sent_to_its_port(loopback: LoopbackTs) -> None:
    """dmpegtsudp parses: the pull waits, streams when somebody sends, and waits again when nobody does."""
    sink, port = loopback.watch(), free_port()
    job = await loopback.pull(f"dmpegtsudp://127.0.0.1:{port}")
    assert job.status.current.state.description == "Connecting"
    sender = loopback.udp()
    send(sender, port)
    await loopback.until(lambda: len(contents(sink.frames, Kind.VIDEO)) >= 24, "the pictures")
    assert job.stream is loopback.server.streams.inbound["cam"]
    await loopback.until(lambda: job.status.current.state.description == "Connecting", "the pull to wait again", 20)
    send(sender, port)
    await loopback.until(lambda: job.successes == 2, "the stream to come back")


@pytest_twisted.ensureDeferred
async def test_an_untouched_pull_gives_the_packets(loopback: LoopbackTs) -> None:
    """mpegtsudp registers `<name>_ts` only, of type INS, with the very bytes that were sent."""
    sink, port = loopback.watch(), free_port()
    await loopback.pull(f"mpegtsudp://127.0.0.1:{port}")
    send(loopback.udp(), port)
    await loopback.until(lambda: sum(len(frame.data) for frame in sink.frames) == len(STREAM), "the packets")
    assert b"".join(frame.data for frame in sink.frames) == STREAM
    [stream] = loopback.server.streams.inbound.values()
    assert (stream.name, stream.type_tag) == ("cam_ts", "INS")
    assert [track.codec for track in stream.tracks] == [Codec.TS]


@pytest.mark.parametrize(
    ("address", "reason"),
    [("192.0.2.1", "Cannot assign requested address"), ("127.0.0.1", "Address already in use")],
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_bound_is_told(loopback: LoopbackTs, address: str, reason: str) -> None:
    """A pull from an address that is not ours, or from a port that is taken, fails and says why."""
    port = loopback.udp().getsockname()[1]
    job = await loopback.pull(f"dmpegtsudp://{address}:{port}")
    assert reason in job.status.previous.reason + job.status.current.reason


def test_the_acceptors_are_known_by_their_names() -> None:
    """config.lua names them inboundTcpTs and inboundUdpTs, and listConnections TCP + ITS and UDP + ITS."""
    known = acceptor_protocols()
    assert known["inboundTcpTs"].tags == ("TCP", "ITS")
    assert known["inboundUdpTs"].tags == ("UDP", "ITS")
    assert AcceptorConfig(ip="127.0.0.1", protocol="inboundUdpTs").local_stream_name == ""
