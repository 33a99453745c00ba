"""The two doors on which a request is a line of text: JSON (1112) and ASCII (1222).

A connection's requests are carried out one after the other, and replies leave in their order even when a command has to
wait for something. While replies wait for their taker nothing more is read, so that a connection holds at most one batch of
received lines and one buffer of replies, whatever its peer does. Idle connections stay.

A peer that closes its sending half, as ``echo version | nc`` does, still gets every reply.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from ems.api.lines import LineSplitter, LineTooLong, TelnetFilter
from ems.api.registry import CommandRegistry
from ems.api.reply import Reply
from ems.api.request import parse_request
from ems.net.connection import Connection

if TYPE_CHECKING:
    from ems.server import Server

COMMANDS_A_TURN = 32
"""Commands that one connection has carried out before the reactor gets its turn: others stream meanwhile."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class CommandLine(Connection):
    """One connection of a line door. `encode` makes a reply's bytes; `telnet` takes telnet's own bytes out of what comes."""

    media = False
    transport: Any  # a TCP transport, which is more than Twisted's type says

    def __init__(
        self,
        server: "Server",
        commands: CommandRegistry,
        encode: Callable[[Reply], bytes],
        tags: tuple[str, ...],
        telnet: TelnetFilter | None = None,
    ) -> None:
        super().__init__(server.connections)
        self.tags = tags
        self._server = server
        self._commands = commands
        self._encode = encode
        self._telnet = telnet
        self._lines = LineSplitter()
        self._waiting: deque[bytes] = deque()
        self._busy = False
        self._stalled = False
        self._reading = True
        self._ending = False

    def opened(self) -> None:
        self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)

    def closed(self, reason: str) -> None:
        self._ending = True
        self._waiting.clear()

    def close(self, reason: str) -> None:
        # A transport with a producer that waits would wait for it before it closes.
        self.transport.unregisterProducer()
        super().close(reason)

    def dataReceived(self, data: bytes) -> None:
        self.bytes_received += len(data)
        if self._ending:
            return
        try:
            lines = self._lines.receive(self._telnet.receive(data) if self._telnet else data)
        except LineTooLong as error:
            self.log.warn("{peer} is cut off: {error}", peer=self.peer_name, error=error)
            self._ending, lines = True, error.complete
        self._waiting.extend(lines)
        self._proceed()
        if self._busy:
            # A command waits for something: lines that came meanwhile would pile up here.
            self._read(False)

    def readConnectionLost(self) -> None:
        """The peer sends no more; it gets what it has asked for."""
        self._ending = True
        self._proceed()

    def writeConnectionLost(self) -> None:
        """The peer takes no more replies."""
        self.transport.abortConnection()

    def pauseProducing(self) -> None:
        """The peer does not take its replies: no more of them for now."""
        self._stalled = True

    def resumeProducing(self) -> None:
        """The replies are out."""
        self._stalled = False
        self._proceed()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self._stalled = True

    def _proceed(self) -> None:
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._answer_all()).addErrback(self._give_up)

    async def _answer_all(self) -> None:
        answered = 0
        while self._waiting and not self._stalled:
            await self._answer(self._waiting.popleft())
            answered += 1
            if answered % COMMANDS_A_TURN == 0:
                self._read(False)
                await deferLater(self._server.clock, 0)
        self._busy = False
        self._read(not (self._waiting or self._stalled or self._ending))
        if self._ending and not self._waiting:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    async def _answer(self, line: bytes) -> None:
        request = parse_request(line.decode("utf-8", "replace"))
        if request is None:
            return
        reply = await self._commands.execute(self._server, request)
        if not reply.silent:
            data = self._encode(reply)
            self.bytes_sent += len(data)
            self.transport.write(data)
        if reply.silent or reply.closes:
            self._ending = True
            self._waiting.clear()

    def _read(self, wanted: bool) -> None:
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def _give_up(self, failure: Failure) -> None:
        self.log.failure("the door failed", failure=failure)
        self.transport.abortConnection()
