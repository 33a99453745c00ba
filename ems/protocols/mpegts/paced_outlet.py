"""The way out over UDP: datagrams at the pace that a `Pacer` sets."""

from time import monotonic
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ems.net.udp import UdpSocket, gathered
from ems.protocols.mpegts.pacing import Pacer
from ems.streams.outlet import Lane, Sender

if TYPE_CHECKING:
    from ems.protocols.mpegts.client import PushConnection


class PacedOutlet:
    """Stands for an `ems.streams.outlet.Outlet`, for one cursor. It is always open: what is too much is the pacer's to drop."""

    log = Logger()

    TICK_SECONDS = 0.005
    """Between two looks at what is due: a seventh of the time between two pictures."""

    __slots__ = ("_call", "_clock", "_complained", "_connection", "_pacer", "_socket", "lane", "open")

    def __init__(self, connection: "PushConnection", socket: UdpSocket, pacer: Pacer) -> None:
        """`socket` is aimed at the receivers."""
        self._connection = connection
        self._clock = connection.server.clock
        self._socket = socket
        self._pacer = pacer
        self._call: IDelayedCall | None = None
        self._complained = False
        self.open = True
        self.lane: Lane = connection.server.streams.fan_out.datagrams

    def add(self, sender: Sender) -> None:
        """Let a cursor send, from now on."""
        sender.opened()

    def discard(self, sender: Sender) -> None:
        """It has nothing more to send: what has waited for its time leaves at once."""
        sender.closed()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        self._leave(self._pacer.rest())

    def write(self, data: bytes) -> None:
        """Send packets, in order with everything else."""
        self.send(data)

    def send(self, data: bytes) -> None:
        """Send packets, when their time has come."""
        self._pacer.put(data, monotonic())
        if self._call is None:
            self._send_due()

    def abort(self) -> None:
        """Give the receivers up."""
        self._connection.close("it cannot be sent to")

    def _send_due(self) -> None:
        """Send what is due, and look again soon if more will be."""
        self._call = None
        self._leave(self._pacer.take(monotonic()))
        if self._pacer.dropped:
            self._complain("is more than its bit rate, and is sent in part only")
        if self._pacer.busy:
            self._call = self._clock.callLater(self.TICK_SECONDS, self._send_due)

    def _leave(self, datagrams: list[bytes]) -> None:
        for run in gathered(datagrams):
            if self._socket.send_run(run):
                self._connection.bytes_sent += len(run.data)
            else:
                self._complain("does not leave")

    def _complain(self, what: str) -> None:
        """Say so, once."""
        if not self._complained:
            self._complained = True
            connection, target = self._connection, self._socket.target
            assert target is not None
            self.log.warn("what goes from {name!r} to {address} {what}", name=connection.name, address=target[0], what=what)
