"""Scripted RTMP clients: tests that read like the protocol.

`RtmpClient` is sans-io: bytes in by `data_received`, bytes out by the function it is given. In memory, a whole conversation runs
on a `Clock` inside `MemoryWorld`; over loopback, inside `LoopbackWorld`, the same script runs on the reactor::

    @in_memory
    async def test_…(world: MemoryWorld) -> None:
        client = await world.client()                       # shaken and connected
        client >> create_stream(2) >> publish("cam", 1)     # sent at once, in this order
        await client.status("NetStream.Publish.Start")      # everything up to it has been heard

`RtmpClient.transcript` is all that was heard, one short line for each message.
"""

import functools
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from ems.config import AcceptorConfig, Application
from ems.formats import amf0
from ems.protocols.rtmp import handshake
from ems.protocols.rtmp.chunks import ChunkReader, Message, chunked
from ems.testing import APPLICATION, MemoryPeer, testing_server
from tests.unit.media.vectors import ASC_STEREO, AVCC_HIGH

T = TypeVar("T")

AUDIO, VIDEO, DATA, COMMAND, COMMAND_AMF3, AGGREGATE = 8, 9, 18, 20, 17, 22

PATIENCE = 30
"""Virtual seconds after which a conversation in memory is stuck."""

_CONTROL = {1: "SetChunkSize", 2: "Abort", 3: "Acknowledgement", 5: "WindowAckSize", 6: "SetPeerBandwidth"}
_EVENTS = {0: "StreamBegin", 1: "StreamEOF", 4: "StreamIsRecorded", 6: "PingRequest", 7: "PingResponse"}


def call(name: str, *arguments: Any, transaction: float = 0, stream_id: int = 0) -> Message:
    """A command message in AMF0."""
    return Message(COMMAND, stream_id, 0, amf0.encode(name, transaction, *arguments))


def in_amf3(message: Message) -> Message:
    """The same command as Flash sends it with objectEncoding 3: AMF0 behind a zero byte, in type 17."""
    return message._replace(type_id=COMMAND_AMF3, payload=b"\0" + message.payload)


def connect(app: str = "live", *, transaction: float = 1, **properties: Any) -> Message:
    """The connect command."""
    known = {"app": app, "flashVer": "test", "tcUrl": f"rtmp://127.0.0.1/{app}"}
    return call("connect", known | properties, transaction=transaction)


def create_stream(transaction: float) -> Message:
    """The createStream command."""
    return call("createStream", None, transaction=transaction)


def publish(name: str, stream_id: int, kind: str = "live", transaction: float = 0) -> Message:
    """The publish command."""
    return call("publish", None, name, kind, transaction=transaction, stream_id=stream_id)


def play(name: str, stream_id: int, *arguments: Any) -> Message:
    """The play command; further arguments are start, duration and reset."""
    return call("play", None, name, *arguments, stream_id=stream_id)


def metadata(stream_id: int = 1, **values: Any) -> Message:
    """``@setDataFrame`` with onMetaData."""
    return Message(DATA, stream_id, 0, amf0.encode("@setDataFrame", "onMetaData", amf0.EcmaArray(values)))


def video(timestamp: int, body: bytes, stream_id: int = 1) -> Message:
    """A video message."""
    return Message(VIDEO, stream_id, timestamp, body)


def audio(timestamp: int, body: bytes, stream_id: int = 1) -> Message:
    """An audio message."""
    return Message(AUDIO, stream_id, timestamp, body)


AVC_HEADER = b"\x17\0\0\0\0" + AVCC_HIGH
AAC_HEADER = b"\xaf\0" + ASC_STEREO


def avc(payload: bytes, *, key: bool, composition_ms: int = 0) -> bytes:
    """The tag body of a picture of one NAL unit."""
    nal = (b"\x65" if key else b"\x41") + payload
    offset = composition_ms.to_bytes(3, "big", signed=True)
    return (b"\x17\1" if key else b"\x27\1") + offset + len(nal).to_bytes(4, "big") + nal


def aac(payload: bytes) -> bytes:
    """The tag body of a frame of sound."""
    return b"\xaf\1" + payload


def group(start: int, pictures: int = 5, label: str = "") -> list[Message]:
    """A key frame and inter frames, 40 ms apart from `start` on, each with a frame of sound; no two are alike."""
    messages = []
    for index in range(pictures):
        time = start + 40 * index
        text = f"{label}{time}".encode()
        messages += [video(time, avc(b"picture " + text, key=index == 0)), audio(time, aac(b"sound " + text))]
    return messages


def describe(message: Message) -> str:
    """A message in a few words: ``WindowAckSize 1048576``, ``onStatus NetStream.Play.Start``, ``video 40 key``."""
    type_id, _, timestamp, payload = message
    if type_id in _CONTROL:
        return f"{_CONTROL[type_id]} {int.from_bytes(payload[:4], 'big')}"
    if type_id == 4:
        event = int.from_bytes(payload[:2], "big")
        return f"{_EVENTS.get(event, event)} {int.from_bytes(payload[2:], 'big')}"
    if type_id in (COMMAND, DATA):
        return _describe_values(amf0.decode_prefix(payload) or ["damaged"], type_id == COMMAND)
    if type_id == VIDEO:
        return f"video {timestamp} " + ("header" if payload[1:2] == b"\0" else "key" if payload[0] >> 4 == 1 else "inter")
    return f"audio {timestamp} " + ("header" if payload[1:2] == b"\0" else "frame")


def _describe_values(values: list[Any], is_command: bool) -> str:
    arguments = values[2:] if is_command else values[1:]
    codes = [argument["code"] for argument in arguments if isinstance(argument, dict) and "code" in argument]
    return " ".join([str(values[0]), *codes])


class RtmpClient:
    """A client that says what the test tells it to, and remembers every message it hears in `messages`.

    Waiting (`heard` and what is built on it) goes through the messages in their order: what has been waited for is behind.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.chunk_size = 128
        self.closed = False
        self.s1 = self.s2 = b""
        self.received_bytes = 0
        self._send: Callable[[bytes], None] = _no_connection
        self._reader = ChunkReader()
        self._handshake: bytes | None = b""
        self._seen = 0
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self._transactions = 1

    @property
    def transcript(self) -> list[str]:
        """All that was heard, in short."""
        return [describe(message) for message in self.messages]

    def payloads(self, type_id: int, stream_id: int = 1) -> list[bytes]:
        """The bodies of the messages of one type."""
        return [m.payload for m in self.messages if m.type_id == type_id and m.stream_id == stream_id]

    def __rshift__(self, message: Message) -> "RtmpClient":
        """Send a message, in chunks of `chunk_size`."""
        chunk_stream = {AUDIO: 4, VIDEO: 6, DATA: 5}.get(message.type_id, 3)
        self.send_raw(chunked(chunk_stream, message, self.chunk_size))
        return self

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._send(data)

    def set_chunk_size(self, size: int) -> None:
        """Cut what follows into chunks of this size, and say so."""
        self.send_raw(chunked(2, Message(1, 0, 0, size.to_bytes(4, "big")), self.chunk_size))
        self.chunk_size = size

    def begin(self, scheme: int | None = None) -> None:
        """Send C0 and C1: plain, or with a digest of `scheme` 0 or 1."""
        c1 = bytes(8) + os.urandom(handshake.PACKET_SIZE - 8)
        if scheme is not None:
            c1 = handshake.signed_packet(c1[:4] + b"\x09\0\x7c\2" + c1[8:], scheme, handshake.CLIENT_KEY)
        self.send_raw(b"\3" + c1)

    async def shake(self, scheme: int | None = None) -> None:
        """Do the handshake."""
        self.begin(scheme)
        await self.until(lambda: self._handshake is None)

    async def open(self, app: str = "live", **properties: Any) -> None:
        """Shake hands and connect."""
        await self.shake()
        self >> connect(app, **properties)
        await self.heard(lambda text: text == "onBWDone")

    async def call(self, name: str, *arguments: Any, stream_id: int = 0) -> list[Any]:
        """Call, and return the values of the ``_result``. AssertionError when it is an ``_error``."""
        self._transactions += 1
        transaction = float(self._transactions)
        self >> call(name, *arguments, transaction=transaction, stream_id=stream_id)
        await self.until(lambda: self._answer(transaction) is not None)
        values = self._answer(transaction)
        assert values is not None
        assert values[0] == "_result", values
        return values[2:]

    async def publish(self, name: str, kind: str = "live") -> int:
        """Publish on a new message stream and return its id."""
        stream_id = int((await self.call("createStream", None))[1])
        self >> publish(name, stream_id, kind)
        await self.status("NetStream.Publish.Start")
        return stream_id

    async def play(self, name: str, *arguments: Any) -> int:
        """Play on a new message stream and return its id."""
        stream_id = int((await self.call("createStream", None))[1])
        self >> play(name, stream_id, *arguments)
        await self.status("NetStream.Play.Start")
        return stream_id

    async def status(self, code: str) -> dict[str, Any]:
        """Wait for a status (or a result or error) with this code, and return its information object."""
        message = await self.heard(lambda text: text.endswith(f" {code}"))
        return next(v for v in amf0.decode_all(message.payload) if isinstance(v, dict) and v.get("code") == code)

    async def heard(self, what: Callable[[str], bool] | str) -> Message:
        """Wait for a message whose description is this text, or fulfils this condition."""
        condition = what if callable(what) else lambda text: text == what

        def found() -> bool:
            while self._seen < len(self.messages):
                self._seen += 1
                if condition(describe(self.messages[self._seen - 1])):
                    return True
            return False

        await self.until(found)
        return self.messages[self._seen - 1]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, which is looked at whenever something has come."""
        if not condition():
            done: Deferred[None] = Deferred()
            self._waiting.append((condition, done))
            await done

    async def hung_up(self) -> None:
        """Wait until the server has closed the connection."""
        await self.until(lambda: self.closed)

    def connection_made(self, send: Callable[[bytes], None]) -> None:
        """The connection is there: this is how to send."""
        self._send = send

    def data_received(self, data: bytes) -> None:
        """Bytes from the server."""
        self.received_bytes += len(data)
        if self._handshake is not None:
            self._handshake += data
            data = self._shaken()
        self.messages += self._reader.receive(data)
        self._look()

    def connection_lost(self) -> None:
        """The server is gone."""
        self.closed = True
        self._look()

    def _shaken(self) -> bytes:
        size = handshake.PACKET_SIZE
        heard = self._handshake or b""
        if len(heard) < 1 + 2 * size:
            return b""
        self.s1, self.s2 = heard[1 : size + 1], heard[size + 1 : 2 * size + 1]
        self._handshake = None
        self.send_raw(self.s1)
        return heard[2 * size + 1 :]

    def _look(self) -> None:
        waiting, self._waiting = self._waiting, []
        for condition, done in waiting:
            if condition():
                done.callback(None)
            else:
                self._waiting.append((condition, done))

    def _answer(self, transaction: float) -> list[Any] | None:
        for message in self.messages:
            if message.type_id == COMMAND:
                values = amf0.decode_all(message.payload)
                if values[0] in ("_result", "_error") and values[1] == transaction:
                    return values
        return None


class MemoryWorld:
    """A server and its clients on one `Clock`, without sockets. `plugins` are the server's pullers and pushers."""

    def __init__(self, application: Application = APPLICATION, clock: Clock | None = None, **plugins: Any) -> None:
        self.clock = clock or Clock()
        self.server = testing_server(self.clock, application, **plugins)
        self.peers: list[MemoryPeer] = []
        self._clients: list[RtmpClient] = []

    def stranger(self) -> RtmpClient:
        """A client that is connected and has said nothing yet."""
        client = RtmpClient()
        peer = MemoryPeer(self.server, "inboundRtmp", on_data=client.data_received, on_lost=client.connection_lost)
        client.connection_made(peer.send)
        self.peers.append(peer)
        self._clients.append(client)
        return client

    async def client(self, app: str = "live", **properties: Any) -> RtmpClient:
        """A client that has connected."""
        client = self.stranger()
        await client.open(app, **properties)
        return client

    def peer(self, client: RtmpClient) -> MemoryPeer:
        """The connection of a client, to hold it, hang it up, or look at the server's end."""
        return self.peers[self._clients.index(client)]

    def pass_time(self, seconds: float) -> None:
        """Let so much time go by, in steps in which everything is done that is due."""
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)

    def run(self, script: Coroutine[Deferred[Any], Any, T]) -> T:
        """Run a script to its end, moving the clock while it waits; AssertionError when it is stuck."""
        done = Deferred.fromCoroutine(script)
        results: list[Any] = []
        done.addBoth(results.append)
        for _ in range(PATIENCE * 100):
            if results:
                break
            self.clock.advance(0.01)
        stuck = not results
        done.cancel()
        heard = "\n".join(f"client {i}: {client.transcript[-12:]}" for i, client in enumerate(self._clients))
        assert not stuck, f"still waiting after {PATIENCE} s, having heard\n{heard}"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def close(self) -> None:
        """Everybody hangs up; AssertionError when the server keeps anything of them."""
        for peer in self.peers:
            peer.hang_up()
        self.pass_time(0.2)
        assert_nothing_left(self.server)


def assert_nothing_left(server: Any) -> None:
    """AssertionError when the server still has a connection, a stream, a subscription or somebody who waits."""
    streams = server.streams
    assert len(server.connections) == 0
    assert [stream.name for stream in streams.inbound.values() if stream.source is not None] == []
    assert streams.outbound == {}
    assert streams._waiting == {}


class _Carrier(Protocol):
    """A client's end of a socket."""

    def __init__(self) -> None:
        self.client = RtmpClient()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.client.connection_made(self.transport.write)

    def dataReceived(self, data: bytes) -> None:
        self.client.data_received(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.client.connection_lost()


class LoopbackWorld:
    """A server on a free port of 127.0.0.1 in this process, and its clients, on the reactor."""

    def __init__(self, reactor: Any, application: Application = APPLICATION) -> None:
        self.reactor = reactor
        self.server = testing_server(reactor, application)
        self.server.acceptors = type(self.server.acceptors)(self.server, reactor)
        acceptor = self.server.acceptors.create(AcceptorConfig(ip="127.0.0.1", protocol="inboundRtmp"))
        self.port = acceptor.port
        self._carriers: list[_Carrier] = []

    async def stranger(self, endpoint: Any = None) -> RtmpClient:
        """A client that is connected, to the server's own port or to this endpoint, and has said nothing yet."""
        carrier = _Carrier()
        await connectProtocol(endpoint or TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port), carrier)
        self._carriers.append(carrier)
        return carrier.client

    async def client(self, app: str = "live", **properties: Any) -> RtmpClient:
        """A client that has connected."""
        client = await self.stranger()
        await client.open(app, **properties)
        return client

    def transport(self, client: RtmpClient) -> ITransport:
        """The client's end of the socket, to stop reading or to hang up."""
        return next(carrier.transport for carrier in self._carriers if carrier.client is client)

    def server_end(self, client: RtmpClient) -> Any:
        """The server's connection to a client."""
        port = self.transport(client).getHost().port  # type: ignore[attr-defined]
        return next(connection for connection in self.server.connections if connection.far[1] == port)

    async def close(self) -> None:
        """Everybody hangs up, and the port is closed; AssertionError when the server keeps anything."""
        for carrier in self._carriers:
            if carrier.transport is not None:
                carrier.transport.abortConnection()  # type: ignore[attr-defined]
        for _ in range(500):
            if not len(self.server.connections):
                break
            await sleep(self.reactor, 0.01)
        await self.server.acceptors.stopService()
        self.server.connections.stopService()
        self.server.streams.stopService()
        assert_nothing_left(self.server)


def sleep(reactor: Any, seconds: float) -> "Deferred[None]":
    """Fires after that many seconds; for polls."""
    done: Deferred[None] = Deferred()
    reactor.callLater(seconds, done.callback, None)
    return done


def in_memory(test: Callable[..., Coroutine[Deferred[Any], Any, None]]) -> Callable[..., None]:
    """Run an ``async`` test on the clock of its fixture `world`."""

    @functools.wraps(test)
    def run(*, world: MemoryWorld, **fixtures: Any) -> None:
        world.run(test(world=world, **fixtures))

    return run


def _no_connection(data: bytes) -> None:
    raise AssertionError("the client is not connected")
