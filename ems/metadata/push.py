"""Pushes of metadata: connections to other servers, over which each new metadata of a stream goes as it is.

A text follows the other without anything between them: the receiver, such as our own ``inboundJsonMeta``, finds where a JSON
object ends by its braces. The format is called ``vmf`` in the runtime API. A push lives until it is shut down or the server
stops; it is not kept over a restart.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer
from twisted.internet.protocol import Factory
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from ems.errors import CommandError
from ems.net.connection import Connection

if TYPE_CHECKING:
    from ems.metadata.service import Metadata, MetadataService
    from ems.net.registry import ConnectionRegistry

MAX_PUSHES = 1000
"""Pushes at a time: more come from a script in a loop only."""

CONNECT_TIME = 10
"""Seconds for a connection; a host that has not answered by then is away."""


class Target(NamedTuple):
    """Where metadata of which stream goes. `address` is literal."""

    name: str
    address: str
    port: int


@implementer(IPushProducer)
class MetadataSender(Connection):
    """One connection of a push. A receiver that is too slow gets the newest text when it can take one, not those before."""

    tags = ("TCP", "OUTVMF")

    def __init__(self, registry: "ConnectionRegistry", service: "MetadataService", name: str) -> None:
        super().__init__(registry)
        self._service = service
        self._name = name
        self.lost: Callable[[str], None] = _nothing
        self._waiting: bytes | None = None
        self._paused = False

    def opened(self) -> None:
        transport: Any = self.transport
        transport.setTcpKeepAlive(True)
        transport.registerProducer(self, True)
        self._service.listen(self._name, self.metadata_came)

    def closed(self, reason: str) -> None:
        self._service.unlisten(self._name, self.metadata_came)
        self.lost(reason)

    def close(self, reason: str) -> None:
        transport: Any = self.transport
        if transport:
            transport.unregisterProducer()
        super().close(reason)

    def dataReceived(self, data: bytes) -> None:
        """Receivers have nothing to say."""
        self.bytes_received += len(data)

    def metadata_came(self, metadata: "Metadata") -> None:
        """Send it, or keep it until that can be done."""
        text = metadata.text.encode("utf-8", "replace")
        if self._paused:
            self._waiting = text
        else:
            self._send(text)

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._send(waiting)

    def stopProducing(self) -> None:
        self._paused = True

    def _send(self, text: bytes) -> None:
        transport: Any = self.transport
        self.bytes_sent += len(text)
        transport.write(text)


class Push(Factory):
    """One push: its connection, or the pause before the next attempt. `over` is called when it ends by itself."""

    noisy = False
    log = Logger()

    FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 1.0, 10.0, 1.5
    """Seconds between attempts; each is so much longer than the one before, until there has been a connection."""

    def __init__(self, reactor: Any, target: Target, make: Callable[[], MetadataSender], over: Callable[[], None] | None) -> None:
        make_endpoint = TCP6ClientEndpoint if ":" in target.address else TCP4ClientEndpoint
        self._reactor = reactor
        self._target = target
        self._endpoint = make_endpoint(reactor, target.address, target.port, timeout=CONNECT_TIME)
        self._make = make
        self._over = over
        self._pause = self.FIRST_PAUSE
        self._sender: MetadataSender | None = None
        self._connecting: Deferred[Any] | None = None
        self._next: IDelayedCall | None = None

    def buildProtocol(self, addr: IAddress | None) -> MetadataSender:
        self._pause = self.FIRST_PAUSE
        sender = self._sender = self._make()
        sender.lost = self._ended
        return sender

    def start(self) -> None:
        """Connect."""
        self._next = None
        self._connecting = self._endpoint.connect(self)
        self._connecting.addCallbacks(self._connected, self._failed)

    def stop(self) -> None:
        """End for good; what is left in the connection may still go out."""
        sender, self._sender = self._sender, None
        following, self._next = self._next, None
        # Its failure, which comes at once, is none: `_failed` must see that nothing is being connected.
        connecting, self._connecting = self._connecting, None
        if following is not None:
            following.cancel()
        elif sender is not None:
            sender.lost = _nothing
            sender.close("the push is shut down")
        elif connecting is not None:
            connecting.cancel()

    def _connected(self, sender: MetadataSender) -> None:
        self._connecting = None

    def _failed(self, failure: Failure) -> None:
        if self._connecting is not None:
            self._ended(failure.getErrorMessage())

    def _ended(self, reason: str) -> None:
        name, address, port = self._target
        text = "metadata of {name!r} does not reach {address}:{port}: {reason}"
        level = LogLevel.info if self._pause == self.FIRST_PAUSE else LogLevel.debug
        self.log.emit(level, text, name=name, address=address, port=port, reason=reason)
        self._sender = self._connecting = None
        if self._over is not None:
            self._over()
        else:
            self._next = self._reactor.callLater(self._pause, self.start)
            self._pause = min(self.LONGEST_PAUSE, self._pause * self.GROWTH)


class MetadataPushes(Service):
    """All pushes. One that is kept alive connects again whenever its target is lost; another ends with its connection."""

    name = "metadata-pushes"

    def __init__(self, reactor: Any, service: "MetadataService", connections: "ConnectionRegistry") -> None:
        self._reactor = reactor
        self._service = service
        self._connections = connections
        self._pushes: dict[Target, Push] = {}

    def __contains__(self, target: object) -> bool:
        return target in self._pushes

    def stopService(self) -> None:
        super().stopService()
        for target in [*self._pushes]:
            self._pushes.pop(target).stop()

    def add(self, target: Target, *, keep_alive: bool) -> None:
        """Begin a push. Raises `CommandError` when there is that very one, or too many."""
        if target in self._pushes:
            raise CommandError(f"Unable to push metadata: that of {target.name} goes to {target.address}:{target.port} already")
        if len(self._pushes) >= MAX_PUSHES:
            raise CommandError(f"Unable to push metadata: there are {MAX_PUSHES} pushes")

        def make() -> MetadataSender:
            return MetadataSender(self._connections, self._service, target.name)

        def over() -> None:
            self._pushes.pop(target, None)

        push = self._pushes[target] = Push(self._reactor, target, make, None if keep_alive else over)
        push.start()

    def remove(self, name: str) -> None:
        """End the pushes of a stream. Raises `CommandError` when there are none."""
        targets = [target for target in self._pushes if target.name == name]
        if not targets:
            raise CommandError(f"Unable to shutdown metadata: nothing is pushed of {name}")
        for target in targets:
            self._pushes.pop(target).stop()


def _nothing(reason: str) -> None:
    """A connection that nobody waits for is lost."""
