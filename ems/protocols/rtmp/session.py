"""What both ends of an RTMP connection have in common: messages in and out over one transport, streams, signs of life."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from ems.errors import RemoteProtocolError
from ems.net.connection import Connection
from ems.protocols.rtmp.chunks import Message
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
    from ems.server import Server

MEDIA_TYPES = frozenset((MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA, MessageType.DATA_AMF3, MessageType.AGGREGATE))
COMMAND_TYPES = frozenset((MessageType.COMMAND, MessageType.COMMAND_AMF3))


class RtmpSession(Connection):
    """One RTMP connection, whoever opened it. Subclasses say what messages mean and what ends with the connection."""

    __slots__ = (
        "_closing",
        "_heard",
        "_outlet",
        "_silent",
        "calls_received",
        "calls_sent",
        "server",
        "wire",
    )

    PING_SECONDS = 20
    """Silence after which the peer is asked for a sign of life."""

    SILENCE_SECONDS = 75
    """Silence after which it is given up: three pings unanswered. A player that is stopped for a minute survives it."""

    MAX_UNSENT = 1 << 20
    """Bytes of answers that may wait for a peer that does not read; media waits in its feed."""

    def __init__(self, server: "Server", wire: Wire) -> None:
        super().__init__(server.connections)
        self.server = server
        self.wire = wire
        self.calls_received = self.calls_sent = 0
        self._outlet: Outlet | None = None
        self._silent = 0
        self._heard = 0
        self._closing = False

    @abstractmethod
    def message(self, message: Message) -> None:
        """One message of the peer. Raises `RemoteProtocolError` when it breaks the protocol."""

    @abstractmethod
    def end_streams(self, reason: str) -> None:
        """End everything that was published and played over this connection."""

    @property
    def client_id(self) -> str:
        """The id by which status objects name this connection."""
        return str(self.id)

    @property
    def closing(self) -> bool:
        """True when nothing more is read or sent."""
        return self._closing

    @property
    def details(self) -> dict[str, Any]:
        return {"rxInvokes": self.calls_received, "txInvokes": self.calls_sent}

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self.bytes_received += len(data)
        try:
            for message in self.wire.receive(data):
                self.message(message)
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
        outlet = self.outlet()
        outlet.write(output)
        if outlet.unsent > self.MAX_UNSENT:
            self.close("it asks and does not read the answers")

    def outlet(self) -> Outlet:
        """The way out that cursors share; from its making on every byte goes through it. Begin with a write."""
        if self._outlet is None:
            self._outlet = Outlet(self, self.server.streams.fan_out)
        return self._outlet

    def close(self, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        self.end_streams(reason)
        self.flush()
        if self._outlet is not None:
            self._outlet.close()
        super().close(reason)

    def closed(self, reason: str) -> None:
        self._closing = True
        self.end_streams("the connection is lost")
        self._outlet = None

    def tick(self, now: float) -> None:
        self._silent = 0 if self._heard != self.bytes_received else self._silent + 1
        self._heard = self.bytes_received
        late = self.lateness()
        if late:
            self.close(late)
        elif self._silent and self._silent % self.PING_SECONDS == 0 and self.wire.shaken:
            self.wire.user_control(UserControl.PING_REQUEST, int(now * 1000))
            self.flush()

    def lateness(self) -> str:
        """Why this peer has been waited for long enough, empty when it has not."""
        return f"not a byte for {self.SILENCE_SECONDS} s" if self._silent >= self.SILENCE_SECONDS else ""
