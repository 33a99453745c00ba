"""An RTMP connection without its socket: bytes in, messages out, and bytes to send.

`Wire` puts handshake and chunk stream together and does what the protocol asks for by itself (Adobe RTMP 1.0 §5.4): it
acknowledges what it receives, answers pings, and keeps count of windows.
"""

from enum import IntEnum

from ems.protocols.rtmp.chunks import DEFAULT_CHUNK_SIZE, ChunkReader, Message, chunked
from ems.protocols.rtmp.handshake import Handshake


class MessageType(IntEnum):
    """Message type ids (Adobe RTMP 1.0 §5.4 and §7.1)."""

    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_ACKNOWLEDGEMENT_SIZE = 5
    SET_PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    DATA_AMF3 = 15
    SHARED_OBJECT_AMF3 = 16
    COMMAND_AMF3 = 17
    DATA = 18
    SHARED_OBJECT = 19
    COMMAND = 20
    AGGREGATE = 22


_AUDIO = int(MessageType.AUDIO)
"""Types below it are the protocol's own. Looking a member up in its enumeration costs more than comparing with it."""


class UserControl(IntEnum):
    """Events of user control messages (Adobe RTMP 1.0 §7.1.7)."""

    STREAM_BEGIN = 0
    STREAM_EOF = 1
    STREAM_DRY = 2
    SET_BUFFER_LENGTH = 3
    STREAM_IS_RECORDED = 4
    PING_REQUEST = 6
    PING_RESPONSE = 7


CONTROL_CHUNK_STREAM = 2
COMMAND_CHUNK_STREAM = 3
DATA_CHUNK_STREAM = 5
VIDEO_CHUNK_STREAM = 6
AUDIO_CHUNK_STREAM = 7
STATUS_CHUNK_STREAM = 8

OUT_CHUNK_SIZE = 60_000
"""What we cut our messages into: nearly every frame is one chunk, and every client takes it (65,536 is too much for some)."""

WINDOW_SIZE = 1 << 20
"""The window we ask the client to acknowledge."""

PEER_BANDWIDTH = 2_500_000
DYNAMIC_LIMIT = 2


class Wire:
    """One end of a connection, which one the handshake says. `receive` bytes; what is to be sent is in `take_output`.

    `buffer_length` is how many milliseconds the peer buffers of what it plays, 0 until it has said so.
    """

    FIRST_ACKNOWLEDGEMENT = 131_072
    """Bytes after which the peer first hears from us while it has set no window: some encoders stop and wait otherwise."""

    DEFAULT_WINDOW = 2_500_000
    """Bytes between later acknowledgements to a peer that never sets a window."""

    MAX_WINDOW = 1 << 30

    __slots__ = ("_acknowledged", "_handshake", "_output", "_reader", "_window", "buffer_length", "out_chunk_size", "received")

    def __init__(self, handshake: Handshake) -> None:
        self.out_chunk_size = DEFAULT_CHUNK_SIZE
        self.received = 0
        self.buffer_length = 0
        self._handshake: Handshake | None = handshake
        self._reader = ChunkReader()
        self._output = bytearray(handshake.hello)
        self._window = self.FIRST_ACKNOWLEDGEMENT
        self._acknowledged = 0

    @property
    def shaken(self) -> bool:
        """True when the handshake is over."""
        return self._handshake is None

    def receive(self, data: bytes) -> list[Message]:
        """Messages that are the application's business, in order. Raises `RemoteProtocolError`."""
        self.received += len(data)
        if self._handshake is not None:
            reply, data = self._handshake.receive(data)
            if reply:
                self._output += reply
            if not self._handshake.done:
                return []
            self._handshake = None
        messages = self._reader.receive(data)
        if self.received - self._acknowledged >= self._window:
            self.acknowledge()
        for message in messages:
            if message[0] < _AUDIO:
                return [one for one in messages if one.type_id >= _AUDIO or self._control(one)]
        return messages

    def acknowledge(self) -> None:
        """Tell the peer how much has come."""
        self._acknowledged = self.received
        if self._window == self.FIRST_ACKNOWLEDGEMENT:
            self._window = self.DEFAULT_WINDOW
        self.control(MessageType.ACKNOWLEDGEMENT, (self.received & 0xFFFFFFFF).to_bytes(4, "big"))

    def take_output(self) -> bytes:
        """What has to be sent now."""
        if not self._output:
            return b""
        output = bytes(self._output)
        self._output.clear()
        return output

    def send(self, chunk_stream_id: int, message: Message) -> None:
        """Put a message into the output."""
        self._output += chunked(chunk_stream_id, message, self.out_chunk_size)

    def control(self, message_type: MessageType, payload: bytes) -> None:
        """Put a protocol control message into the output."""
        self.send(CONTROL_CHUNK_STREAM, Message(message_type, 0, 0, payload))

    def user_control(self, event: UserControl, value: int) -> None:
        """Put a user control event with its 4-byte argument into the output."""
        self.control(MessageType.USER_CONTROL, event.to_bytes(2, "big") + (value & 0xFFFFFFFF).to_bytes(4, "big"))

    def set_chunk_size(self, size: int = OUT_CHUNK_SIZE) -> None:
        """Cut what follows into chunks of this size."""
        self.control(MessageType.SET_CHUNK_SIZE, size.to_bytes(4, "big"))
        self.out_chunk_size = size

    def _control(self, message: Message) -> bool:
        """Do what a protocol message asks for; always False: it is nothing to the application."""
        type_id, _, _, payload = message
        if type_id == MessageType.USER_CONTROL:
            if payload[:2] == UserControl.PING_REQUEST.to_bytes(2, "big") and len(payload) >= 6:
                self.user_control(UserControl.PING_RESPONSE, int.from_bytes(payload[2:6], "big"))
            elif payload[:2] == UserControl.SET_BUFFER_LENGTH.to_bytes(2, "big") and len(payload) >= 10:
                self.buffer_length = int.from_bytes(payload[6:10], "big")
        elif type_id == MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE and len(payload) >= 4:
            window = int.from_bytes(payload[:4], "big")
            if window:
                self._window = min(window, self.MAX_WINDOW)
        return False
