"""The acceptor protocol ``inboundLiveFlv``: each connection is a stream.

It is called as ``streamName`` in its metadata says when the acceptor has ``waitForMetadata``, else as the acceptor's
``localStreamName``, else ``<ip>_<port>`` of the sender. With ingest points on that is a private name, and the stream gets the
public one.
"""

from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ems.errors import CommandError, RemoteProtocolError
from ems.interfaces import IAcceptorProtocol
from ems.net.connection import Connection, ConnectionFactory
from ems.protocols.liveflv.publish import Publication
from ems.protocols.liveflv.wire import TagSplitter
from ems.streams.ingest import publish

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server
    from ems.streams.inbound import InboundStream


class LiveFlvConnection(Connection):
    """Somebody who sends FLV."""

    START_SECONDS = 20
    """Until there is a stream."""

    def __init__(self, server: "Server", config: "AcceptorConfig", tags: tuple[str, ...]) -> None:
        super().__init__(server.connections)
        self.server = server
        self.tags = tags
        self._config = config
        self._tags_of_flv = TagSplitter()
        self._publication = Publication(self._register, wait_for_metadata=config.wait_for_metadata)
        self._closing = False
        self._age = 0

    @property
    def streams(self) -> list[Any]:
        return [self._publication.stream] if self._publication.stream is not None else []

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self.bytes_received += len(data)
        try:
            for tag in self._tags_of_flv.receive(data):
                self._publication.receive(tag)
                if self._closing:
                    return
        except (RemoteProtocolError, CommandError) as error:
            self.close(str(error))

    def tick(self, now: float) -> None:
        self._age += 1
        if self._publication.stream is None and self._age >= self.START_SECONDS and not self._closing:
            self.close(f"no stream within {self.START_SECONDS} s")

    def close(self, reason: str) -> None:
        if not self._closing:
            self._end(reason)
            super().close(reason)

    def closed(self, reason: str) -> None:
        if not self._closing:
            self._end(f"the connection is lost: {reason}")

    def _end(self, reason: str) -> None:
        self._closing = True
        self.server.intake.discard(self)
        self._publication.close(reason)

    def _register(self, wanted: str) -> "InboundStream":
        name = wanted or self._config.local_stream_name or "{}_{}".format(*self.far)
        stream = publish(self.server, name, type_tag="INLFLV", source=self)
        self.server.intake.add(self)
        return stream


@implementer(IAcceptorProtocol)
class InboundLiveFlv:
    """The acceptor protocol ``inboundLiveFlv``."""

    protocol = "inboundLiveFlv"
    tags = ("TCP", "ILFL")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> ConnectionFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        tags = ("TCP", "ISSL", "ILFL") if config.tls else self.tags
        return ConnectionFactory(lambda: LiveFlvConnection(server, config, tags))
