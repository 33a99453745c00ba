"""The acceptor protocol ``inboundJsonMeta``: JSON objects over TCP are metadata of the acceptor's ``streamname``.

::

    echo '{"lat": 32.8, "lon": -117.2}' | nc -q1 127.0.0.1 8110

Without a ``streamname`` they are metadata of every stream. Nothing is answered.
"""

from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ems.errors import RemoteProtocolError
from ems.interfaces import IAcceptorProtocol
from ems.net.connection import Connection, ConnectionFactory
from ems.protocols.jsonmeta.wire import ObjectSplitter

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server


class JsonMetaConnection(Connection):
    """One client that sends metadata of a stream."""

    MAX_OBJECTS = 1000
    """Objects a second; each is told to everybody who listens."""

    MAX_BYTES = 128 << 10
    """Bytes of objects a second: two of the largest. A KiB of small values costs up to a millisecond; others wait."""

    tags = ("TCP", "JSONMETA")

    __slots__ = ("_bytes", "_count", "_name", "_objects", "_server")

    def __init__(self, server: "Server", name: str) -> None:
        super().__init__(server.connections)
        self._server = server
        self._name = name
        self._objects: ObjectSplitter | None = ObjectSplitter()
        self._count = self._bytes = 0

    def opened(self) -> None:
        # A sensor may be silent for hours; the kernel finds out whether it is still there.
        transport: Any = self.transport
        if hasattr(transport, "setTcpKeepAlive"):
            transport.setTcpKeepAlive(True)

    def dataReceived(self, data: bytes) -> None:
        if self._objects is None:
            return
        self.bytes_received += len(data)
        try:
            for text in self._objects.receive(data):
                self._charge(len(text))
                self._server.metadata.publish(self._name, text.decode("utf-8", "replace"))
        except RemoteProtocolError as error:
            self.close(str(error))

    def _charge(self, size: int) -> None:
        self._count += 1
        self._bytes += size
        if self._count > self.MAX_OBJECTS:
            raise RemoteProtocolError(f"more than {self.MAX_OBJECTS} objects a second")
        if self._bytes > self.MAX_BYTES:
            raise RemoteProtocolError(f"more than {self.MAX_BYTES >> 10} KiB of objects a second")

    def tick(self, now: float) -> None:
        self._count = self._bytes = 0

    def close(self, reason: str) -> None:
        if self._objects is not None:
            self._objects = None
            super().close(reason)


@implementer(IAcceptorProtocol)
class InboundJsonMeta:
    """The acceptor protocol ``inboundJsonMeta``."""

    protocol = "inboundJsonMeta"
    tags = ("TCP", "JSONMETA")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> ConnectionFactory:
        """The factory of one acceptor (`IAcceptorProtocol`). Raises `CommandError` when ``streamname`` is no name."""
        name = server.metadata.name_of(config.stream_name)
        return ConnectionFactory(lambda: JsonMetaConnection(server, name))
