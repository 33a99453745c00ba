"""Media over UDP, between real sockets: where they go to, who is heard, and that ports are given back."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol

from ems.config import AcceptorConfig, Multicast
from ems.formats.rtp.packet import parse
from ems.net.acceptor import Acceptors
from ems.net.udp import PortPairs, UdpSocket, bound_socket
from ems.protocols.rtsp import wire
from ems.protocols.rtsp.transport import Transport, parse_transports
from ems.protocols.rtsp.wire import Response, Wire
from ems.server import Server
from ems.testing import stream_of, testing_server
from tests.conversation import sleep
from tests.service.rtsp.clients import both, picture


class UdpClient(Protocol):
    """A client over TCP that takes its media over UDP."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.responses: list[Response] = []
        self.packets: list[bytes] = []
        self.session = ""
        self.sockets = [
            UdpSocket(reactor, one, lambda data, _: self.packets.append(data)) for one in PortPairs().bind("127.0.0.1")
        ]
        self._wire = Wire()

    def dataReceived(self, data: bytes) -> None:
        self.responses += [event for event in self._wire.receive(data) if isinstance(event, Response)]

    async def ask(self, method: str, url: str, **headers: str) -> Response:
        """A request and its response."""
        assert self.transport is not None
        count = len(self.responses)
        lines = {"CSeq": str(count), **headers, **({"Session": self.session} if self.session else {})}
        self.transport.write(wire.request(method, url, lines))
        await until(self.reactor, lambda: len(self.responses) > count)
        self.session = self.responses[-1].headers.get("Session").partition(";")[0] or self.session
        return self.responses[-1]

    async def set_up(self, url: str, transport: str = "") -> Transport:
        """Set a medium up; what is answered."""
        ports = f"{self.sockets[0].address[1]}-{self.sockets[1].address[1]}"
        response = await self.ask("SETUP", url, Transport=transport or f"RTP/AVP;unicast;client_port={ports}")
        assert response.status == 200
        return parse_transports(response.headers.get("Transport"))[0]


async def until(reactor: Any, condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    for _ in range(500):
        if condition():
            return
        await sleep(reactor, 0.01)
    raise AssertionError("waited in vain")


@pytest.fixture
def reactor() -> Any:
    """The reactor of the tests."""
    from twisted.internet import reactor

    return reactor


@pytest.fixture
def server(reactor: Any) -> Iterator[Server]:
    """A server with a stream."""
    made = testing_server(reactor)
    made.acceptors = Acceptors(made, reactor)
    stream_of(both(0, 30), made.streams, "cam")
    yield made
    pytest_twisted.blockon(made.acceptors.stopService())
    for connection in made.connections:
        connection.close("the test is over")
    made.connections.stopService()
    made.streams.stopService()


def push_more(server: Server) -> None:
    """The stream goes on for a while."""
    stream = server.streams.by_name("cam")
    assert stream is not None
    for frame in both(30, 40):
        stream.push(frame)


async def connected(reactor: Any, server: Server, **acceptor: Any) -> UdpClient:
    """A client of a new acceptor."""
    port = server.acceptors.create(AcceptorConfig(ip="127.0.0.1", protocol="inboundRtsp", **acceptor)).port
    client = UdpClient(reactor)
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), client)
    return client


async def playing(reactor: Any, server: Server) -> tuple[UdpClient, tuple[int, int]]:
    """A client that plays the sound, and the ports that it gets it from."""
    client = await connected(reactor, server)
    answer = await client.set_up("rtsp://h/cam/trackID=2")
    assert answer.server_port is not None
    await client.ask("PLAY", "rtsp://h/cam")
    return client, answer.server_port


async def gone(reactor: Any, server: Server, client: UdpClient) -> None:
    """The client hangs up, and all its ports are free."""
    client.transport.abortConnection()  # type: ignore[union-attr]
    for one in client.sockets:
        one.close()
    await until(reactor, lambda: not len(server.connections))
    assert server.connections.counters["managedUdp"].current == 0


@pytest_twisted.ensureDeferred
async def test_play(reactor: Any, server: Server) -> None:
    """Pictures come to the port that was asked for, from the port that was answered, and reports beside them."""
    client = await connected(reactor, server)
    answer = await client.set_up("rtsp://h/cam/trackID=2")
    assert answer.client_port == (client.sockets[0].address[1], client.sockets[1].address[1])
    assert answer.server_port is not None
    assert (answer.server_port[0] % 2, answer.source) == (0, "127.0.0.1")
    response = await client.ask("PLAY", "rtsp://h/cam")
    await until(reactor, lambda: len([packet for packet in client.packets if packet[1] & 0x7F == 97]) >= 5)
    first = next(parse(packet) for packet in client.packets if packet[1] & 0x7F == 97)
    assert f"seq={first.sequence};rtptime={first.timestamp}" in response.headers.get("RTP-Info")
    assert answer.ssrc == first.ssrc
    assert any(packet[1] == 200 for packet in client.packets)
    counters = server.connections.counters
    assert counters["managedUdp"].current == 2
    connection = next(iter(server.connections))
    assert connection.bytes_sent > sum(map(len, client.packets))
    await gone(reactor, server, client)
    # The bytes of media were counted with the connection's.
    assert (counters["managedUdp"].in_bytes, counters["managedUdp"].out_bytes) == (0, 0)


@pytest_twisted.ensureDeferred
async def test_behind_a_router(reactor: Any, server: Server) -> None:
    """The first packet from the client's address shows where it really is; later ones, and strangers, change nothing."""
    client = await connected(reactor, server)
    answer = await client.set_up("rtsp://h/cam/trackID=2")
    assert answer.server_port is not None
    here: list[bytes] = []
    nowhere: list[bytes] = []
    real = UdpSocket(reactor, bound_socket("127.0.0.1", 0), lambda data, _: here.append(data))
    stranger = UdpSocket(reactor, bound_socket("127.0.0.2", 0), lambda data, _: nowhere.append(data))
    late = UdpSocket(reactor, bound_socket("127.0.0.1", 0), lambda data, _: nowhere.append(data))
    connection = next(iter(server.connections))
    before = connection.bytes_received
    for number, one in enumerate((stranger, real, late)):
        one.aim(("127.0.0.1", answer.server_port[0]))
        one.send(b"\x80\0\0\0")
        await until(reactor, lambda number=number: connection.bytes_received >= before + 4 * number)  # type: ignore[misc]
    await client.ask("PLAY", "rtsp://h/cam")
    await until(reactor, lambda: len(here) >= 5)
    assert nowhere == []
    for one in (real, stranger, late):
        one.close()
    await gone(reactor, server, client)


@pytest_twisted.ensureDeferred
async def test_the_way_is_known(reactor: Any, server: Server) -> None:
    """When a player reports from where it said, its media go there for good, and nobody else is heard at their port."""
    client, ports = await playing(reactor, server)
    client.sockets[1].aim(("127.0.0.1", ports[1]))
    late = UdpSocket(reactor, bound_socket("127.0.0.1", 0), lambda data, _: None)
    late.aim(("127.0.0.1", ports[0]))
    connection = next(iter(server.connections))
    before = connection.bytes_received
    for report in range(1, 3):
        client.sockets[1].send(b"\x80\xc9\0\0")
        await until(reactor, lambda report=report: connection.bytes_received == before + 4 * report)  # type: ignore[misc]
        assert late.send(b"\x80\0\0\0")
    count = len(client.packets)
    push_more(server)
    await until(reactor, lambda: len(client.packets) > count + 5)
    assert connection.bytes_received == before + 8
    late.close()
    await gone(reactor, server, client)


@pytest_twisted.ensureDeferred
async def test_reports_from_behind_a_router(reactor: Any, server: Server) -> None:
    """Reports from another port than was said do not settle where media go: a packet to their own port still does."""
    client, ports = await playing(reactor, server)
    here: list[bytes] = []
    router = [UdpSocket(reactor, bound_socket("127.0.0.1", 0), lambda data, _: here.append(data)) for _ in range(2)]
    connection = next(iter(server.connections))
    before = connection.bytes_received
    for number, control in enumerate((1, 0), 1):
        router[control].aim(("127.0.0.1", ports[control]))
        router[control].send(b"\x80\xc9\0\0")
        await until(reactor, lambda number=number: connection.bytes_received == before + 4 * number)  # type: ignore[misc]
    push_more(server)
    await until(reactor, lambda: len(here) >= 5)
    for one in router:
        one.close()
    await gone(reactor, server, client)


@pytest_twisted.ensureDeferred
async def test_a_large_group_of_pictures(reactor: Any, server: Server) -> None:
    """A late joiner gets a group of pictures of megabytes without losing any of it on the way."""
    stream = stream_of([picture(0)], server.streams, "large")
    for number in range(1, 20):
        frame = picture(number)
        stream.push(frame._replace(data=(100_005).to_bytes(4, "big") + frame.data[4:] + bytes(100_000)))
    client = await connected(reactor, server)
    await client.set_up("rtsp://h/large/trackID=1")
    await client.ask("PLAY", "rtsp://h/large")
    await until(reactor, lambda: sum(map(len, client.packets)) > 19 * 100_000)
    numbers = [parse(packet).sequence for packet in client.packets if packet[1] & 0x7F == 97]
    assert [(number - numbers[0]) % 65536 for number in numbers] == [*range(len(numbers))]
    await gone(reactor, server, client)


@pytest_twisted.ensureDeferred
async def test_bare_transport_stream(reactor: Any, server: Server) -> None:
    """Who asks for RAW/RAW/UDP gets transport packets in datagrams, without RTP."""
    client = await connected(reactor, server)
    ports = f"{client.sockets[0].address[1]}-{client.sockets[1].address[1]}"
    answer = await client.set_up("rtsp://h/ts/cam", f"RAW/RAW/UDP;unicast;client_port={ports}")
    assert answer.raw
    await client.ask("PLAY", "rtsp://h/ts/cam")
    await until(reactor, lambda: len(client.packets) > 3)
    assert all(packet[0] == 0x47 and len(packet) % 188 == 0 for packet in client.packets)
    await gone(reactor, server, client)


@pytest_twisted.ensureDeferred
async def test_ports_of_a_range(reactor: Any, server: Server) -> None:
    """With udpPorts the ports are of that range, and when none is left SETUP says that there is no room."""
    with bound_socket("127.0.0.1", 0) as probe:
        base = probe.getsockname()[1] & ~1
    client = await connected(reactor, server, extra={"udpPorts": f"{base}-{base + 1}"})
    assert (await client.set_up("rtsp://h/cam/trackID=1")).server_port == (base, base + 1)
    response = await client.ask("SETUP", "rtsp://h/cam/trackID=2", Transport="RTP/AVP;unicast;client_port=5000-5001")
    assert response.status == 453
    await gone(reactor, server, client)


@pytest_twisted.ensureDeferred
async def test_multicast(reactor: Any, server: Server) -> None:
    """Clients of a multicast acceptor listen to one group, to which everything is sent once, until the last one leaves."""
    group = Multicast(ip="239.255.18.9", ttl=1)
    client = await connected(reactor, server, multicast=group)
    description = await client.ask("DESCRIBE", "rtsp://h/cam")
    assert b"c=IN IP4 239.255.18.9/1\r\n" in description.body
    answer = await client.set_up("rtsp://h/cam/trackID=2", "RTP/AVP;multicast")
    assert (answer.multicast, answer.destination, answer.ttl) == (True, "239.255.18.9", 1)
    assert answer.port is not None
    heard: list[bytes] = []
    # The server's own socket has the group's port on this machine, so the group itself is bound.
    listener = UdpSocket(reactor, bound_socket("239.255.18.9", answer.port[0]), lambda data, _: heard.append(data))
    listener.join("239.255.18.9", interface="lo")
    await client.ask("PLAY", "rtsp://h/cam")
    await until(reactor, lambda: len(heard) >= 5)
    assert {parse(packet).ssrc for packet in heard} == {answer.ssrc}
    listener.close()
    await gone(reactor, server, client)
    assert server.streams.inbound["cam"]._feeds == {}
