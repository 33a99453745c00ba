"""Servers that take and send transport streams: in memory on a clock, and on loopback with real sockets."""

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock

from ems.config import AcceptorConfig
from ems.media.frame import SECOND, Frame
from ems.media.track import Kind
from ems.net.acceptor import Acceptor, Acceptors
from ems.plugins import pullers, pushers
from ems.testing import APPLICATION, MemoryPeer, RecordingSink, testing_server
from tests.conversation import assert_nothing_left, sleep

EXPIRY = replace(APPLICATION, streams_expire_timer=1)
"""Streams of which nothing has come for a second end."""


class MemoryTs:
    """A server whose senders are in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.server = testing_server(self.clock, EXPIRY)
        self.peers: list[MemoryPeer] = []

    def peer(self, protocol: str = "inboundTcpTs", **config: Any) -> MemoryPeer:
        """Somebody who is connected to an acceptor with this configuration."""
        peer = MemoryPeer(self.server, protocol, AcceptorConfig(ip="127.0.0.1", protocol=protocol, **config))
        self.peers.append(peer)
        return peer

    def sink(self, name: str) -> RecordingSink:
        """What remembers the frames of a stream from now on."""
        found = self.server.streams.inbound[name]
        sink = RecordingSink()
        found.add_sink(sink)
        return sink

    def watch(self) -> RecordingSink:
        """What remembers the frames of the next stream, all of them."""
        sink = RecordingSink()
        self.server.streams.observers.append(_Watcher(sink))
        return sink

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in steps in which the server has its turns."""
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)

    def close(self) -> None:
        """Everybody hangs up; AssertionError when the server keeps anything of them."""
        for peer in self.peers:
            peer.hang_up()
        self.pass_time(0.2)
        assert_nothing_left(self.server)


class _Watcher:
    """Puts a sink at every stream that comes."""

    def __init__(self, sink: RecordingSink) -> None:
        self._sink = sink

    def stream_came(self, stream: Any) -> None:
        stream.add_sink(self._sink)

    def stream_left(self, stream: Any, reason: str) -> None:
        """The sink has been told."""


class LoopbackTs:
    """A server on the reactor, with the pullers and pushers that are installed."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.server = testing_server(reactor, EXPIRY, pullers=pullers(), pushers=pushers())
        self.server.acceptors = Acceptors(self.server, reactor)
        self.sockets: list[socket.socket] = []
        self.ports: list[Any] = []
        self.carriers: list[_Carrier] = []

    def acceptor(self, protocol: str, **config: Any) -> Acceptor:
        """A port of this protocol."""
        return self.server.acceptors.create(AcceptorConfig(ip="127.0.0.1", protocol=protocol, **config))

    def udp(self) -> socket.socket:
        """A UDP socket of the test, bound to a free port of 127.0.0.1."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets.append(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        return made

    def watch(self) -> RecordingSink:
        """What remembers the frames of the next streams, all of them."""
        sink = RecordingSink()
        self.server.streams.observers.append(_Watcher(sink))
        return sink

    async def pull(self, uri: str, name: str = "cam", **settings: Any) -> Any:
        """A pull of this address; the job."""
        return await ensureDeferred(self.server.jobs.pull({"uri": uri, "localStreamName": name, **settings}))

    async def push(self, uri: str, name: str = "cam", **settings: Any) -> Any:
        """A push to this address; the job."""
        values = {"targetUri": uri, "localStreamName": name, "targetStreamName": name, **settings}
        return await ensureDeferred(self.server.jobs.push(values))

    async def connect(self, port: int) -> "_Carrier":
        """Somebody who has connected to a port of 127.0.0.1."""
        carrier = _Carrier()
        await connectProtocol(TCP4ClientEndpoint(self.reactor, "127.0.0.1", port), carrier)
        self.carriers.append(carrier)
        return carrier

    async def listen(self) -> "tuple[int, list[_Carrier]]":
        """A TCP server of the test: its port, and those who connect."""
        factory = Factory()
        factory.noisy = False
        accepted: list[_Carrier] = []

        def build(address: Any) -> _Carrier:
            accepted.append(_Carrier())
            self.carriers.append(accepted[-1])
            return accepted[-1]

        factory.buildProtocol = build  # type: ignore[method-assign, assignment]
        port: Any = await TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1").listen(factory)
        self.ports.append(port)
        return port.getHost().port, accepted

    async def until(self, condition: Callable[[], object], what: str, seconds: float = 10) -> None:
        """Wait for a condition; AssertionError when it does not come."""
        for _ in range(int(seconds * 200)):
            if condition():
                return
            await sleep(self.reactor, 0.005)
        raise AssertionError(f"waited {seconds:g} s for {what}")

    async def play(self, frames: list[Frame], name: str = "cam", *, receivers: int = 0) -> float:
        """Push the frames into a local stream of this name, which is made and ended here, in the rhythm of their times.

        Begins when it has so many receivers; gives the seconds that it took.
        """
        stream = self.server.streams.register(name, type_tag="INEXT", source=None)
        stream.set_tracks(tuple({frame.track.id: frame.track for frame in frames}.values()))
        await self.until(lambda: len(stream.outbound) >= receivers, "receivers")
        began = self.reactor.seconds()
        for frame in frames:
            wait = frame.dts / SECOND - (self.reactor.seconds() - began)
            if wait > 0:
                await sleep(self.reactor, wait)
            stream.push(frame)
        await sleep(self.reactor, 0.1)
        stream.end("the frames are over")
        return float(self.reactor.seconds() - began)

    async def close(self) -> None:
        """Everything ends; AssertionError when the server keeps anything."""
        await self.server.jobs.stopService()
        for carrier in self.carriers:
            if carrier.transport is not None:
                carrier.transport.abortConnection()  # type: ignore[attr-defined]
        for port in self.ports:
            await port.stopListening()
        await self.server.acceptors.stopService()
        await self.until(lambda: not len(self.server.connections), "the connections to end")
        for one in self.sockets:
            one.close()
        self.server.connections.stopService()
        self.server.streams.stopService()
        assert_nothing_left(self.server)


class _Carrier(Protocol):
    """A client's end of a TCP connection: `received` is what has come, `lost` whether it is over."""

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def send(self, data: bytes) -> None:
        """Send bytes."""
        assert self.transport is not None
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


def received(one: socket.socket) -> list[bytes]:
    """The datagrams that have come, without waiting."""
    datagrams = []
    while True:
        try:
            datagrams.append(one.recv(65_535))
        except BlockingIOError:
            return datagrams


def contents(frames: list[Frame], kind: Kind) -> list[bytes]:
    """The bytes of the frames of one kind."""
    return [frame.data for frame in frames if frame.track.kind is kind]
