"""The server's side of an RTMP connection (Adobe RTMP 1.0 §7.2): the conversation with encoders and players.

`RtmpConnection` holds the connection's state and its message streams, each of which publishes (`publish.Publish`) or plays
(`play.Play`, `vod_play.VodPlay`); `calls.CALLS` is the table of remote calls it answers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ems.errors import RemoteProtocolError
from ems.net.sockets import acknowledge_at_once
from ems.protocols.rtmp import commands
from ems.protocols.rtmp.calls import CALLS
from ems.protocols.rtmp.chunks import Message
from ems.protocols.rtmp.handshake import ServerHandshake
from ems.protocols.rtmp.play import Play
from ems.protocols.rtmp.publish import Publish
from ems.protocols.rtmp.session import COMMAND_TYPES, MEDIA_TYPES, RtmpSession
from ems.protocols.rtmp.vod_play import VodPlay
from ems.protocols.rtmp.wire import Wire
from ems.security.rtmp import Verdict

if TYPE_CHECKING:
    from ems.server import Server


class RtmpConnection(RtmpSession):
    """One client. Its connect call has a `verdict` at once, and an `application` when it has been let in.

    What it has told of itself is in `client`; what it can take in `fourccs` and `multitrack`.
    """

    __slots__ = (
        "_age",
        "_idle",
        "_young",
        "application",
        "bandwidth_checked",
        "client",
        "fourccs",
        "multitrack",
        "name_prefix",
        "net_streams",
        "verdict",
    )

    HANDSHAKE_SECONDS = 5
    CONNECT_SECONDS = 20
    """Until the connect call."""

    START_SECONDS = 60
    """Until a stream is published or played, and after the last one has ended."""

    QUIET_SECONDS = 2
    """Silence of a player after which its socket is watched among the idle ones."""

    MAX_STREAMS = 64
    """Message streams of one connection."""

    HTTP_BEGINS = b"P"
    """The first byte of a client that talks through HTTP instead, where that is understood: of ``POST``."""

    tags: tuple[str, ...] = ("TCP", "IR")

    def __init__(self, server: "Server", *, validate_handshake: bool = False) -> None:
        super().__init__(server, Wire(ServerHandshake(validate=validate_handshake)))
        self.application: str | None = None
        self.verdict: Verdict | None = None
        self.name_prefix = ""
        self.fourccs: frozenset[bytes] = frozenset()
        self.multitrack = False
        self.bandwidth_checked = False
        self.client: dict[str, str] = {}
        self.net_streams: dict[int, Publish | Play | VodPlay | None] = {}
        self._young = True
        self._age = 0
        self._idle = 0

    @property
    def streams(self) -> list[Any]:
        used = [used for used in self.net_streams.values() if used is not None]
        return [one.stream if isinstance(one, Publish) else one for one in used]

    @property
    def details(self) -> dict[str, Any]:
        return {**self.client, **super().details}

    def opened(self) -> None:
        self._acknowledge_at_once()

    def dataReceived(self, data: bytes) -> None:
        if not self._young:
            super().dataReceived(data)
        elif not self.wire.received and data.startswith(self.HTTP_BEGINS) and hasattr(self.factory, "make_http"):
            self.hand_over(self.factory.make_http(), data)
        else:
            super().dataReceived(data)
            self._acknowledge_at_once()
            self._young = not self.streaming

    @property
    def streaming(self) -> bool:
        """True when something is published or played."""
        return any(self.net_streams.values())

    @property
    def _publishing(self) -> bool:
        return any(isinstance(used, Publish) for used in self.net_streams.values())

    def _acknowledge_at_once(self) -> None:
        acknowledge_at_once(getattr(self.transport, "getHandle", lambda: None)())

    def make(self, stream_id: int) -> None:
        """There is a message stream, which does nothing yet."""
        self.net_streams[stream_id] = None
        for reporter in self.server.streams.reporters:
            reporter.neutral_came(self, stream_id)

    def use(self, stream_id: int, used: Publish | Play | VodPlay) -> None:
        """The message stream publishes or plays from now on."""
        self.net_streams[stream_id] = used
        self._end_neutral(stream_id)

    def forget(self, stream_id: int) -> None:
        """There is no such message stream any more."""
        self.net_streams.pop(stream_id, None)
        self._end_neutral(stream_id)

    def _end_neutral(self, stream_id: int) -> None:
        for reporter in self.server.streams.reporters:
            reporter.neutral_left(self, stream_id)

    def release(self, stream_id: int, reason: str) -> Publish | Play | VodPlay | None:
        """End what a message stream does, if anything; its id stays known."""
        used = self.net_streams.get(stream_id)
        if used is None:
            return None
        self.net_streams[stream_id] = None
        if isinstance(used, Publish):
            used.close(reason)
            self.server.intake.discard(self)
        else:
            used.unsubscribe()
        return used

    def end_streams(self, reason: str) -> None:
        for stream_id in [*self.net_streams]:
            self.release(stream_id, reason)
            self.forget(stream_id)

    def tick(self, now: float) -> None:
        self._age += 1
        self._idle = 0 if self.streaming else self._idle + 1
        super().tick(now)
        if self._silent >= self.QUIET_SECONDS and not self.closing and not self._publishing:
            self.registry.idle.add(self)

    def lateness(self) -> str:
        if not self.wire.shaken and self._age >= self.HANDSHAKE_SECONDS:
            return "no handshake"
        if self.application is None and self._age >= self.CONNECT_SECONDS:
            return "no connect call"
        if self._idle >= self.START_SECONDS:
            return "it neither publishes nor plays"
        return super().lateness()

    def message(self, message: Message) -> None:
        if message.type_id in MEDIA_TYPES:
            used = self.net_streams.get(message.stream_id)
            if isinstance(used, Publish):
                used.message(message)
        elif message.type_id in COMMAND_TYPES:
            self._command(message)

    def _command(self, message: Message) -> None:
        command = commands.read_command(message)
        if command is None:
            return
        self.calls_received += 1
        if self.application is None and command.name != "connect":
            raise RemoteProtocolError(f"{command.name[:64]} before connect")
        answer: Callable[[RtmpConnection, commands.Command], None] | None = CALLS.get(command.name)
        if answer is not None:
            answer(self, command)
        elif command.transaction_id:
            description = f"there is no {command.name[:64]}"
            self.send(commands.error(command, "NetConnection.Call.Failed", description))
