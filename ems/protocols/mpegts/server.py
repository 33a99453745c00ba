"""Whoever sends us a transport stream, and the acceptors for them.

============  ====================================================================
inboundTcpTs  each connection is a stream; takes ``sslKey`` and ``sslCert``
inboundUdpTs  one stream, of one sender at a time (`ems.net.datagrams`)
============  ====================================================================

The stream is called as the acceptor's ``localStreamName`` says, else ``ts_<id>_<4 random characters>``; with ingest points on
that is a private name, and the stream gets the public one.
"""

import secrets
import string
from abc import abstractmethod
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ems.errors import CommandError, RemoteProtocolError
from ems.interfaces import IAcceptorProtocol
from ems.net.connection import Connection, ConnectionFactory
from ems.protocols.mpegts.datagrams import DatagramReader
from ems.protocols.mpegts.publish import Parsed, Untouched
from ems.streams.ingest import publish

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server
    from ems.streams.inbound import InboundStream

_CHARACTERS = string.ascii_letters + string.digits


class TsConnection(Connection):
    """A connection over which one transport stream comes in, over TCP or UDP as the first of its `tags` says."""

    START_SECONDS = 20
    """Until there is a stream: longer than any distance of key frames that people watch."""

    def __init__(self, server: "Server", tags: tuple[str, ...], *, untouched: bool = False) -> None:
        super().__init__(server.connections)
        self.server = server
        self.tags = tags
        self._datagrams = DatagramReader() if tags[0] == "UDP" else None
        self._publication = (Untouched if untouched else Parsed)(self._register)
        self._closing = False
        self._age = 0

    @abstractmethod
    def make_stream(self, type_tag: str) -> "InboundStream":
        """Register the stream. Raises `CommandError` when its name is taken or not allowed."""

    @property
    def streams(self) -> list[Any]:
        return [self._publication.stream] if self._publication.stream is not None else []

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self.bytes_received += len(data)
        self._read(self._datagrams.receive(data, monotonic_ns()) if self._datagrams is not None else data)

    def tick(self, now: float) -> None:
        self._age += 1
        if self._datagrams is not None and not self._closing:
            self._read(self._datagrams.expire(monotonic_ns()))
        self._publication.tell()
        if self._publication.stream is None and self._age >= self.START_SECONDS and not self._closing:
            self.close(f"{self._publication.lacking()} within {self.START_SECONDS} s")

    def close(self, reason: str) -> None:
        if not self._closing:
            self._closing = True
            self._end(reason)
            super().close(reason)

    def closed(self, reason: str) -> None:
        if not self._closing:
            self._closing = True
            self._end(f"the connection is lost: {reason}")

    def _read(self, packets: bytes) -> None:
        try:
            self._publication.receive(packets)
        except (RemoteProtocolError, CommandError) as error:
            self.close(str(error))

    def _register(self, type_tag: str) -> "InboundStream":
        stream = self.make_stream(type_tag)
        self.server.intake.add(self)
        return stream

    def _end(self, reason: str) -> None:
        self.server.intake.discard(self)
        self._publication.close(reason)


class AcceptedTs(TsConnection):
    """Somebody who sends to an acceptor."""

    def __init__(self, server: "Server", config: "AcceptorConfig", tags: tuple[str, ...]) -> None:
        super().__init__(server, tags)
        self._name = config.local_stream_name

    def make_stream(self, type_tag: str) -> "InboundStream":
        name = self._name or f"ts_{self.id}_{''.join(secrets.choice(_CHARACTERS) for _ in range(4))}"
        return publish(self.server, name, type_tag=type_tag, source=self)


@implementer(IAcceptorProtocol)
class InboundTcpTs:
    """The acceptor protocol ``inboundTcpTs``."""

    protocol = "inboundTcpTs"
    tags = ("TCP", "ITS")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> ConnectionFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        tags = ("TCP", "ISSL", "ITS") if config.tls else self.tags
        return ConnectionFactory(lambda: AcceptedTs(server, config, tags))


@implementer(IAcceptorProtocol)
class InboundUdpTs:
    """The acceptor protocol ``inboundUdpTs``. Its factory makes the connections of a `DatagramListener`."""

    protocol = "inboundUdpTs"
    tags = ("UDP", "ITS")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> ConnectionFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        return ConnectionFactory(lambda: AcceptedTs(server, config, self.tags))
