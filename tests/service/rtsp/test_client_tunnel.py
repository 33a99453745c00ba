"""RTSP through HTTP: the two requests of a client, to the server itself or to a proxy."""

import socket
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from ems.protocols.rtsp.wire import Request, Wire, response
from ems.testing import MemoryTransport
from tests.conversation import in_memory
from tests.service.rtsp.far_rtsp import FarRtspNetwork, FarRtspWorld
from tests.service.rtsp.sources import Camera, numbers

GRANTED = b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n"


class LegTransport(MemoryTransport):
    """A connection that reads only while its protocol wants to; what comes meanwhile is `unread`. `socket` has its options."""

    def __init__(self, leg: "Leg", *arguments: Any) -> None:
        super().__init__(*arguments)
        self.socket = socket.socket()
        self.reading = True
        self.unread = b""
        self._leg = leg

    def pauseProducing(self) -> None:
        """Read no more."""
        self.reading = False

    def resumeProducing(self) -> None:
        """Read on."""
        self.reading = True
        self.bring(b"")

    def bring(self, data: bytes) -> None:
        """Bytes have come."""
        self.unread += data
        if self.reading and self.connected and self.unread:
            data, self.unread = self.unread, b""
            self._leg.protocol.dataReceived(data)


class Leg:
    """The far end of one HTTP connection."""

    def __init__(self) -> None:
        self.received = b""
        self.transport: LegTransport
        self.protocol: Protocol

    def take(self, data: bytes) -> None:
        self.received += data

    def send(self, data: bytes) -> None:
        self.transport.bring(data)

    @property
    def head(self) -> list[str]:
        """The lines of the request."""
        return self.received.partition(b"\r\n\r\n")[0].decode().split("\r\n")

    @property
    def body(self) -> bytes:
        """What came behind it."""
        return self.received.partition(b"\r\n\r\n")[2]


class LegNetwork(FarRtspNetwork):
    """A network whose connections are legs of tunnels."""

    def __init__(self) -> None:
        super().__init__()
        self.legs: list[Leg] = []

    def _connect(self, host: str, factory: Factory) -> None:
        leg = Leg()
        made = factory.buildProtocol(None)  # type: ignore[arg-type]
        assert made is not None
        leg.protocol = made  # type: ignore[assignment]
        lost = lambda: leg.protocol.connectionLost(Failure(ConnectionDone()))  # noqa: E731
        leg.transport = LegTransport(leg, self, leg.take, lost, host)
        self.legs.append(leg)
        leg.protocol.makeConnection(leg.transport)


@pytest.fixture
def world() -> Iterator[FarRtspWorld]:
    """Our server, on a network of HTTP servers."""
    made = FarRtspWorld(network=LegNetwork())
    yield made
    for leg in legs(made):
        leg.transport.abortConnection()
        leg.transport.socket.close()
    made.close()


def legs(world: FarRtspWorld) -> list[Leg]:
    """The connections so far."""
    assert isinstance(world.network, LegNetwork)
    return world.network.legs


async def leg(world: FarRtspWorld, number: int) -> Leg:
    """A connection, when its request has come."""
    await world.until(lambda: len(legs(world)) > number and b"\r\n\r\n" in legs(world)[number].received)
    return legs(world)[number]


def fields(head: list[str]) -> dict[str, str]:
    """The headers of a request by their names in lower case."""
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}


def requests(post: Leg) -> list[Request]:
    """The RTSP requests in the body of a POST, whose groups of base64 may each end with padding."""
    groups, text = [], post.body
    while text:
        end = text.find(b"=") if b"=" in text else len(text)
        end = (end + 3) // 4 * 4 if end < len(text) else end
        groups.append(b64decode(text[:end]))
        text = text[end:]
    return [event for event in Wire().receive(b"".join(groups)) if isinstance(event, Request)]


@in_memory
async def test_a_tunnel_to_the_server_itself(world: FarRtspWorld) -> None:
    """R-052: httpProxy=self. GET brings everything, POST takes base64, one cookie joins them; media are interleaved."""
    camera = Camera(sound=False)
    attempt = world.pull("rtsp://192.0.2.1:8080/cam?x=1", httpProxy="self", forceTcp=False)
    get = await leg(world, 0)
    assert get.head[0] == "GET /cam?x=1 HTTP/1.0"
    assert fields(get.head)["accept"] == "application/x-rtsp-tunnelled"
    get.send(GRANTED[:20])
    get.send(GRANTED[20:])
    post = await leg(world, 1)
    assert post.head[0] == "POST /cam?x=1 HTTP/1.0"
    assert int(fields(post.head)["content-length"]) > 1 << 30
    cookies = {fields(one.head)["x-sessioncookie"] for one in (get, post)}
    assert [len(cookie) for cookie in cookies] == [22]
    assert world.network.dialed == [("192.0.2.1", 8080)] * 2
    for count, method in enumerate(("OPTIONS", "DESCRIBE", "SETUP", "PLAY")):
        await world.until(lambda count=count: len(requests(post)) > count)
        asked = requests(post)[count]
        assert asked.method == method
        transport = asked.headers.get("Transport")
        assert method != "SETUP" or transport == "RTP/AVP/TCP;unicast;interleaved=0-1"
        body = camera.sdp.encode() if method == "DESCRIBE" else b""
        get.send(response(200, {"CSeq": asked.headers.get("CSeq"), "Session": "9", "Transport": transport}, body))
    for _, packet in camera.pictures(5):
        get.send(b"$\0" + len(packet).to_bytes(2, "big") + packet)
    await world.until(lambda: "mine" in world.server.streams.inbound)
    stream = world.server.streams.inbound["mine"]
    assert stream.source is not None
    assert stream.source.tags == ("TCP", "OHTT", "RTSP")
    assert numbers(stream._gop.frames) == [*range(5)]
    attempt.stop("enough")
    assert await world.ended() == "enough"
    assert requests(post)[-1].method == "TEARDOWN"


@in_memory
async def test_a_tunnel_through_a_proxy(world: FarRtspWorld) -> None:
    """R-051: httpProxy=IP. The proxy is asked, on port 80, for the whole address."""
    world.pull("rtsp://cam.example/live/7", httpProxy="192.0.2.99:80")
    get = await leg(world, 0)
    assert world.network.dialed == [("192.0.2.99", 80)]
    assert get.head[0] == "GET http://cam.example:554/live/7 HTTP/1.0"
    assert fields(get.head)["host"] == "cam.example:554"


@in_memory
async def test_logging_in_to_the_tunnel(world: FarRtspWorld) -> None:
    """A server that asks who we are is answered on both legs."""
    world.pull("rtsp://u:p@192.0.2.1/cam", httpProxy="self")
    (await leg(world, 0)).send(b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n')
    get = await leg(world, 1)
    assert fields(get.head)["authorization"] == "Basic dTpw"
    get.send(GRANTED)
    assert fields((await leg(world, 2)).head)["authorization"] == "Basic dTpw"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "no tunnel through HTTP: 404 Not Found"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "no tunnel through HTTP: 401 Unauthorized"),
        (b"SSH-2.0\r\n\r\n", "no HTTP answer"),
        (b"x" * 20_000, "no HTTP answer"),
    ],
)
@in_memory
async def test_no_tunnel(world: FarRtspWorld, answer: bytes, expected: str) -> None:
    """What opens no tunnel is told of."""
    world.pull(httpProxy="self")
    (await leg(world, 0)).send(answer)
    assert expected in await world.ended()


@in_memory
async def test_fields_of_ip(world: FarRtspWorld) -> None:
    """ttl and tos hold for both connections of a tunnel."""
    world.pull(httpProxy="self", ttl=9, tos=0x20)
    (await leg(world, 0)).send(GRANTED)
    await leg(world, 1)
    for one in legs(world):
        options = [one.transport.socket.getsockopt(socket.IPPROTO_IP, name) for name in (socket.IP_TTL, socket.IP_TOS)]
        assert options == [9, 0x20]


@in_memory
async def test_a_hasty_tunnel(world: FarRtspWorld) -> None:
    """Nothing that a server sends too early fills our memory: it is read when the POST is there, and nothing of it is lost."""
    world.pull(httpProxy="self")
    get = await leg(world, 0)
    get.send(GRANTED)
    early = b"$\7\1\0" + bytes(256)
    for _ in range(1000):
        get.send(early)
    assert len(get.transport.unread) == 1000 * len(early)
    await leg(world, 1)
    assert get.transport.unread == b""
    (connection,) = world.server.connections
    assert connection.bytes_received == 1000 * len(early)


@in_memory
async def test_a_silent_tunnel(world: FarRtspWorld) -> None:
    """A server that does not answer the GET is left."""
    world.pull(httpProxy="self")
    await leg(world, 0)
    assert "cannot connect" in await world.ended()


@in_memory
async def test_a_tunnel_to_where_we_must_not_go(world: FarRtspWorld) -> None:
    """Nothing is sent to an address that is out of bounds."""
    world.pull(httpProxy="169.254.169.254:80")
    assert "link-local" in await world.ended()
    assert [one.received for one in legs(world)] == [b""]


@pytest.mark.parametrize("lost", [0, 1])
@in_memory
async def test_a_leg_is_lost(world: FarRtspWorld, lost: int) -> None:
    """When one of the two connections is gone the other is closed, and the pull ends."""
    world.pull(httpProxy="self")
    (await leg(world, 0)).send(GRANTED)
    await leg(world, 1)
    legs(world)[lost].transport.abortConnection()
    assert "the connection is lost" in await world.ended()
    assert not any(one.transport.connected for one in legs(world))


@in_memory
async def test_stopping_while_the_tunnel_is_dug(world: FarRtspWorld) -> None:
    """A pull can be stopped at any time."""
    attempt = world.pull(httpProxy="self")
    await leg(world, 0)
    attempt.stop("enough")
    assert await world.ended() == "enough"
    await world.seconds(0.1)
    assert not any(one.transport.connected for one in legs(world))
