"""The connections of pulls and pushes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.logger import LogLevel

from ems.errors import CommandError
from ems.net.attempt import Attempt
from ems.net.connection import Connection
from ems.net.udp import UdpSocket
from ems.protocols.mpegts.mapping import untouched_name
from ems.protocols.mpegts.outbound import TsOutbound
from ems.protocols.mpegts.paced_outlet import PacedOutlet
from ems.protocols.mpegts.pacing import Pacer
from ems.protocols.mpegts.server import TsConnection
from ems.streams.outlet import Outlet

if TYPE_CHECKING:
    from ems.streams.inbound import InboundStream


class PullConnection(TsConnection):
    """Brings a stream in for a pull, over TCP or UDP."""

    # Whoever asked for the pull is told, and says it once; here it would be said at every attempt.
    close_level = LogLevel.debug

    def __init__(self, attempt: Attempt, carrier: str, *, untouched: bool) -> None:
        super().__init__(attempt.server, (carrier, "ITS"), untouched=untouched)
        self._attempt = attempt
        self._untouched = untouched
        self._why = ""

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._attempt.settings

    def opened(self) -> None:
        try:
            self._attempt.check_address(self.far[0])
        except CommandError as error:
            self.close(str(error))
        else:
            self._attempt.observer.connected()

    def make_stream(self, type_tag: str) -> "InboundStream":
        name = self._attempt.settings["localStreamName"]
        streams = self.server.streams
        stream = streams.register(untouched_name(name) if self._untouched else name, type_tag=type_tag, source=self)
        self._attempt.observer.streaming(stream)
        return stream

    def close(self, reason: str) -> None:
        self._why = self._why or reason
        super().close(reason)

    def closed(self, reason: str) -> None:
        super().closed(reason)
        self._attempt.lost(self._why or f"the connection is lost: {reason}")


class PushConnection(Connection):
    """Sends a stream for a push. Subclasses make the way out."""

    close_level = LogLevel.debug

    PATIENCE_SECONDS = 3
    """For which a source may have only tracks that MPEG-TS cannot carry: others may be about to come."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt.server.connections)
        self.server = attempt.server
        self._attempt = attempt
        self._outbound: TsOutbound | None = None
        self._unfit = 0
        self._closing = False
        self._why = ""

    @property
    def name(self) -> str:
        """The stream that is sent."""
        return str(self._attempt.settings["localStreamName"])

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._attempt.settings

    @property
    def streams(self) -> list[Any]:
        return [self._outbound] if self._outbound is not None else []

    def begin(self, outbound: TsOutbound) -> None:
        """Send this from now on."""
        self._outbound = outbound
        self._attempt.observer.connected()
        outbound.subscribe()
        if not self._closing:
            self._attempt.observer.streaming(outbound)

    def dataReceived(self, data: bytes) -> None:
        # Nobody has anything to say to us.
        self.bytes_received += len(data)

    def tick(self, now: float) -> None:
        outbound = self._outbound
        self._unfit = self._unfit + 1 if outbound is not None and outbound.unfit else 0
        if self._unfit > self.PATIENCE_SECONDS:
            self.close("the stream has no track that MPEG-TS can carry")

    def close(self, reason: str) -> None:
        if not self._closing:
            self._closing = True
            self._why = reason
            self._end()
            super().close(reason)

    def closed(self, reason: str) -> None:
        self._closing = True
        self._end()
        self._attempt.lost(self._why or f"the connection is lost: {reason}")

    def _end(self) -> None:
        outbound, self._outbound = self._outbound, None
        if outbound is not None:
            outbound.unsubscribe()


class TcpPush(PushConnection):
    """A push over TCP."""

    STALL_SECONDS = 20
    """In which the other side takes nothing of what waits for it."""

    tags = ("TCP", "OTS")

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt)
        self._outlet: Outlet | None = None
        self._stalled = 0

    def opened(self) -> None:
        try:
            self._attempt.check_address(self.far[0])
        except CommandError as error:
            self.close(str(error))
            return
        self._outlet = Outlet(self, self.server.streams.fan_out)
        # Nothing has been written yet, so the transport is as empty as an outlet has to find it.
        self._outlet.resumeProducing()
        self.begin(TsOutbound(self, self.name, self._outlet))

    def tick(self, now: float) -> None:
        super().tick(now)
        self._stalled = 0 if self._outlet is None or self._outlet.open else self._stalled + 1
        if self._stalled >= self.STALL_SECONDS:
            self.close(f"the other side has taken nothing for {self.STALL_SECONDS} s")

    def _end(self) -> None:
        super()._end()
        outlet, self._outlet = self._outlet, None
        if outlet is not None and self.transport is not None:
            outlet.close()


class UdpPush(PushConnection):
    """A push over UDP, to one address, a multicast group or everybody in a network."""

    tags = ("UDP", "OTS")

    def __init__(self, attempt: Attempt, socket: UdpSocket, pacer: Pacer) -> None:
        super().__init__(attempt)
        self._socket = socket
        self._pacer = pacer

    def opened(self) -> None:
        self.begin(TsOutbound(self, self.name, PacedOutlet(self, self._socket, self._pacer), at_next=True))
