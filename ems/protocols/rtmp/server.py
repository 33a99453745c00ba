"""The server's side of an RTMP connection (Adobe RTMP 1.0 §7.2): the conversation with encoders and players.

`RtmpConnection` holds the connection's state and its message streams, each of which publishes (`publish.Publish`) or plays
(`play.Play`); `calls.CALLS` is the table of remote calls it answers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from zope.interface import implementer

from ems.errors import RemoteProtocolError
from ems.interfaces import IAcceptorProtocol
from ems.net.connection import Connection
from ems.protocols.rtmp import commands
from ems.protocols.rtmp.calls import CALLS
from ems.protocols.rtmp.chunks import Message
from ems.protocols.rtmp.play import Play
from ems.protocols.rtmp.publish import Publish
from ems.protocols.rtmp.wire import (
    COMMAND_CHUNK_STREAM,
    DATA_CHUNK_STREAM,
    STATUS_CHUNK_STREAM,
    MessageType,
    UserControl,
    Wire,
)
from ems.streams.outlet import Outlet

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server

_COMMANDS = frozenset((MessageType.COMMAND, MessageType.COMMAND_AMF3))
_MEDIA = frozenset((MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA, MessageType.DATA_AMF3, MessageType.AGGREGATE))


class RtmpConnection(Connection):
    """One client. What it has told of itself is in `details`; what it can take in `fourccs` and `multitrack`."""

    HANDSHAKE_SECONDS = 5
    CONNECT_SECONDS = 20
    """Until the connect call."""

    START_SECONDS = 60
    """Until a stream is published or played, and after the last one has ended."""

    PING_SECONDS = 20
    """Silence after which the client is asked for a sign of life."""

    SILENCE_SECONDS = 75
    """Silence after which it is given up: three pings unanswered. A player that is stopped for a minute survives it."""

    MAX_STREAMS = 64
    """Message streams of one connection."""

    tags = ("TCP", "IR")

    def __init__(self, server: "Server", *, validate_handshake: bool = False) -> None:
        super().__init__(server.connections)
        self.server = server
        self.wire = Wire(validate_handshake=validate_handshake)
        self.application: str | None = None
        self.name_prefix = ""
        self.fourccs: frozenset[bytes] = frozenset()
        self.multitrack = False
        self.client: dict[str, str] = {}
        self.net_streams: dict[int, Publish | Play | None] = {}
        self.calls_received = self.calls_sent = 0
        self._outlet: Outlet | None = None
        self._age = 0
        self._silent = 0
        self._idle = 0
        self._heard = 0
        self._closing = False

    @property
    def client_id(self) -> str:
        """The id by which status objects name this client."""
        return str(self.id)

    @property
    def streams(self) -> list[Any]:
        used = [used for used in self.net_streams.values() if used is not None]
        return [one.stream if isinstance(one, Publish) else one for one in used]

    @property
    def details(self) -> dict[str, Any]:
        return {**self.client, "rxInvokes": self.calls_received, "txInvokes": self.calls_sent}

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self.bytes_received += len(data)
        try:
            for message in self.wire.receive(data):
                self._message(message)
                if self._closing:
                    break
        except RemoteProtocolError as error:
            self.close(f"protocol error: {error}")
            return
        self.flush()

    def send(self, message: Message) -> None:
        """Put a command or data message into the output; `flush` sends it."""
        if message.type_id == MessageType.COMMAND:
            self.calls_sent += 1
        if message.type_id == MessageType.DATA:
            chunk_stream = DATA_CHUNK_STREAM
        else:
            chunk_stream = STATUS_CHUNK_STREAM if message.stream_id else COMMAND_CHUNK_STREAM
        self.wire.send(chunk_stream, message)

    def flush(self) -> None:
        """Send what is in the output."""
        output = self.wire.take_output()
        if not output or not self.transport:
            return
        if self._outlet is not None:
            self._outlet.write(output)
        else:
            self.bytes_sent += len(output)
            self.transport.write(output)

    def outlet(self) -> Outlet:
        """The way out that cursors share; from its making on every byte goes through it."""
        if self._outlet is None:
            self._outlet = Outlet(self, self.server.streams.fan_out)
        return self._outlet

    def release(self, stream_id: int, reason: str) -> Publish | Play | None:
        """End what a message stream does, if anything; its id stays known."""
        used = self.net_streams.get(stream_id)
        if used is None:
            return None
        self.net_streams[stream_id] = None
        if isinstance(used, Publish):
            used.close(reason)
        else:
            used.unsubscribe()
        return used

    def close(self, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        self._end_streams(reason)
        self.flush()
        if self._outlet is not None:
            self._outlet.close()
        super().close(reason)

    def closed(self, reason: str) -> None:
        self._closing = True
        self._end_streams("the connection is lost")
        self._outlet = None

    def tick(self, now: float) -> None:
        self._age += 1
        self._silent = 0 if self._heard != self.bytes_received else self._silent + 1
        self._heard = self.bytes_received
        self._idle = 0 if any(self.net_streams.values()) else self._idle + 1
        late = self._lateness()
        if late:
            self.close(late)
        elif self._silent and self._silent % self.PING_SECONDS == 0:
            self.wire.user_control(UserControl.PING_REQUEST, int(now * 1000))
            self.flush()

    def _lateness(self) -> str:
        """Why this client has been waited for long enough, empty when it has not."""
        if not self.wire.shaken and self._age >= self.HANDSHAKE_SECONDS:
            return "no handshake"
        if self.application is None and self._age >= self.CONNECT_SECONDS:
            return "no connect call"
        if self._idle >= self.START_SECONDS:
            return "it neither publishes nor plays"
        if self._silent >= self.SILENCE_SECONDS:
            return f"not a byte for {self.SILENCE_SECONDS} s"
        return ""

    def _message(self, message: Message) -> None:
        if message.type_id in _MEDIA:
            used = self.net_streams.get(message.stream_id)
            if isinstance(used, Publish):
                used.message(message)
        elif message.type_id in _COMMANDS:
            self._command(message)

    def _command(self, message: Message) -> None:
        command = commands.read_command(message)
        if command is None:
            return
        self.calls_received += 1
        if self.application is None and command.name != "connect":
            raise RemoteProtocolError(f"{command.name} before connect")
        answer: Callable[[RtmpConnection, commands.Command], None] | None = CALLS.get(command.name)
        if answer is not None:
            answer(self, command)
        elif command.transaction_id:
            description = f"there is no {command.name[:64]}"
            self.send(commands.error(command, "NetConnection.Call.Failed", description))

    def _end_streams(self, reason: str) -> None:
        for stream_id in [*self.net_streams]:
            self.release(stream_id, reason)
        self.net_streams.clear()


class RtmpFactory(Factory):
    """Makes the connections of one acceptor."""

    noisy = False

    def __init__(self, server: "Server") -> None:
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> RtmpConnection:
        connection = RtmpConnection(self._server, validate_handshake=self._server.config.application.validate_handshake)
        connection.factory = self
        return connection


@implementer(IAcceptorProtocol)
class InboundRtmp:
    """The acceptor protocol ``inboundRtmp``."""

    protocol = "inboundRtmp"
    tags = RtmpConnection.tags

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> RtmpFactory:
        return RtmpFactory(server)
