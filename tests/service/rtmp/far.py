"""Other people's servers, scripted and in memory: what `ems.protocols.rtmp.attempt` connects to in tests.

A `FarNetwork` is the clock and the network at once; each connection that is made in it ends at a new `FarServer`::

    attempt = world.pull("rtmp://192.0.2.1/live/cam")
    far = await world.far()                   # the next connection
    await far.accept()                        # connect, createStream and play, or publish
    far >> video(0, AVC_HEADER, far.stream_id)
"""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IDelayedCall, IReactorPluggableNameResolver, IResolutionReceiver
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from ems.formats import amf0
from ems.interfaces import IAttemptObserver
from ems.jobs.settings import PULL, PUSH
from ems.protocols.rtmp.attempt import SCHEMES, RtmpAttempt, RtmpPuller, RtmpPusher
from ems.protocols.rtmp.chunks import Message
from ems.protocols.rtmp.handshake import ServerHandshake
from ems.streams.inbound import InboundStream
from ems.streams.outbound import OutboundStream
from ems.testing import MemoryTransport
from ems.uri import Uri
from tests.conversation import MemoryWorld, RtmpClient, call

STREAM_ID = 1


class FarServer(RtmpClient):
    """The far end of one connection. It shakes hands by itself, unless it is a mute one; the script says the rest."""

    stream_id = STREAM_ID

    transport: MemoryTransport

    def __init__(self, *, mute: bool) -> None:
        super().__init__()
        self._accepting = None if mute else ServerHandshake()

    def data_received(self, data: bytes) -> None:
        if self._accepting is None:
            self.received_bytes += len(data)
        else:
            super().data_received(data)

    async def asked(self, name: str) -> list[Any]:
        """Wait for a call of this name; returns its transaction id, its command object and its arguments."""
        message = await self.heard(lambda text: text.split()[0] == name)
        values: list[Any] = amf0.decode_all(message.payload)[1:]
        return values

    async def accept_connect(self, **information: Any) -> dict[str, Any]:
        """Let the client in; returns the properties it has sent."""
        transaction, properties = await self.asked("connect")
        accepted = {"level": "status", "code": "NetConnection.Connect.Success", **information}
        self >> call("_result", {"fmsVer": "FMS/3,0,1,123"}, accepted, transaction=transaction)
        return dict(properties)

    async def refuse_connect(self, description: str, **more: Any) -> dict[str, Any]:
        """Turn the client away; returns the properties it has sent."""
        transaction, properties = await self.asked("connect")
        refused = {"level": "error", "code": "NetConnection.Connect.Rejected", "description": description, **more}
        self >> call("_error", None, refused, transaction=transaction)
        return dict(properties)

    async def give_stream(self, stream_id: Any = STREAM_ID) -> None:
        """Answer createStream."""
        transaction, *_ = await self.asked("createStream")
        self >> call("_result", None, stream_id, transaction=transaction)

    async def accept(self, code: str = "NetStream.Play.Start", level: str = "status") -> list[Any]:
        """Everything up to the stream; returns what play or publish was called with."""
        await self.accept_connect()
        await self.give_stream()
        asked = await self.asked("publish" if "Publish" in code else "play")
        self.status_of_stream(code, level)
        return asked

    def status_of_stream(self, code: str, level: str = "status", **more: Any) -> None:
        """Tell the stream's state."""
        self >> call("onStatus", None, {"level": level, "code": code, "description": "so it is", **more}, stream_id=STREAM_ID)

    def hang_up(self) -> None:
        """Close the connection."""
        self.transport.abortConnection()

    def _shaken(self) -> bytes:
        heard, self._handshake = self._handshake or b"", b""
        assert self._accepting is not None
        reply, rest = self._accepting.receive(heard)
        if reply:
            self.send_raw(reply)
        if self._accepting.done:
            self._handshake = None
        return rest


class _Connector:
    """A connection that is being made."""

    def __init__(self, pending: IDelayedCall) -> None:
        self._pending = pending

    def getDestination(self) -> str:
        """Where it leads, for an error's text."""
        return "somewhere"

    def stopConnecting(self) -> None:
        """Give up."""
        self._pending.cancel()


@implementer(IReactorPluggableNameResolver)
class FarNetwork(Clock):
    """A clock whose connections lead to scripted servers.

    `dialed` are the addresses and ports in order. While `refusing`, nobody listens; while `mute`, servers take connections
    and say nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dialed: list[tuple[str, int]] = []
        self.servers: list[FarServer] = []
        self.refusing = self.mute = False
        self.nameResolver = self

    def installNameResolver(self, resolver: Any) -> None:
        """Part of the interface."""

    def resolveHostName(self, receiver: IResolutionReceiver, host: str, port: int = 0, *_: Any, **portNumber: int) -> None:
        """Every name is its own address."""
        port = portNumber.get("portNumber", port)
        receiver.resolutionBegan(None)  # type: ignore[arg-type]
        receiver.addressResolved((IPv6Address if ":" in host else IPv4Address)("TCP", host, port))
        receiver.resolutionComplete()

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        """Connect, a moment later."""
        self.dialed.append((host, port))
        connector = _Connector(self.callLater(0, self._refuse if self.refusing else self._connect, host, factory))
        factory.startedConnecting(connector)
        return connector

    def _refuse(self, host: str, factory: Any) -> None:
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def _connect(self, host: str, factory: Any) -> None:
        protocol = factory.buildProtocol(None)

        def lost() -> None:
            protocol.connectionLost(Failure(ConnectionDone()))
            far.connection_lost()

        def send(data: bytes) -> None:
            if transport.connected and not transport.disconnecting:
                protocol.dataReceived(data)

        far = FarServer(mute=self.mute)
        transport = far.transport = MemoryTransport(self, far.data_received, lost, host)
        far.connection_made(send)
        self.servers.append(far)
        protocol.makeConnection(transport)


@implementer(IAttemptObserver)
class Observer:
    """Remembers what it is told, in order, in `told`; `reason` is None until the attempt has ended."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.stream: InboundStream | OutboundStream | None = None
        self.reason: str | None = None

    def connected(self) -> None:
        self.told.append("connected")

    def streaming(self, stream: InboundStream | OutboundStream) -> None:
        self.told.append("streaming")
        self.stream = stream

    def ended(self, reason: str) -> None:
        self.told.append("ended")
        self.reason = reason


class FarWorld(MemoryWorld):
    """Our server on a `FarNetwork`. `observer` is told of the attempts that the test makes itself."""

    def __init__(self) -> None:
        self.network = FarNetwork()
        plugins: dict[str, Any] = {
            "pullers": dict.fromkeys(SCHEMES, RtmpPuller()),
            "pushers": dict.fromkeys(SCHEMES, RtmpPusher()),
        }
        super().__init__(clock=self.network, **plugins)
        self.observer = Observer()
        self._next = 0

    def pull(self, uri: str = "rtmp://192.0.2.1/live/cam", **settings: Any) -> RtmpAttempt:
        """Pull a stream as ``mine``."""
        return self._attempt(RtmpPuller().pull, uri, {**PULL, "localStreamName": "mine", **settings})

    def push(self, uri: str = "rtmp://192.0.2.1/live", **settings: Any) -> RtmpAttempt:
        """Push the stream ``mine`` as ``theirs``."""
        names = {"localStreamName": "mine", "targetStreamName": "theirs"}
        return self._attempt(RtmpPusher().push, uri, {**PUSH, **names, **settings})

    async def far(self) -> FarServer:
        """The far end of the next connection that is made."""
        await self.until(lambda: len(self.network.servers) > self._next)
        self._next += 1
        return self.network.servers[self._next - 1]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds, which is looked at ten times a second."""
        while not condition():
            await self.seconds(0.1)

    async def seconds(self, count: float) -> None:
        """Let so much time go by."""
        await deferLater(self.network, count)

    async def ended(self) -> str:
        """Wait until the attempt has ended; returns why."""
        await self.until(lambda: self.observer.reason is not None)
        return self.observer.reason or ""

    def close(self) -> None:
        for far in self.network.servers:
            far.hang_up()
        super().close()

    def _attempt(self, begin: Any, uri: str, settings: Mapping[str, Any]) -> RtmpAttempt:
        self.observer = Observer()
        attempt: RtmpAttempt = begin(self.server, Uri.parse(uri), settings, self.observer)
        return attempt


def media_of(far: FarServer) -> list[Message]:
    """The audio and video that a far server has received."""
    return [message for message in far.messages if message.type_id in (8, 9)]
