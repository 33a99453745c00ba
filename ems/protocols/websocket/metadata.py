"""JSON metadata over WebSocket, both ways over one connection: the acceptor protocols ``wsJsonMeta`` and ``wssJsonMeta``.

The address names the stream: ``ws://host:8210/lobby``. Without a name it is the acceptor's ``streamname``, and without that one
it is every stream. A text message from the client is JSON, and new metadata of that stream; each new metadata of the stream,
the client's own included, comes back in its envelope as a text message. What was there before the client came is not repeated.
A client that sends more than `MetadataConnection.MAX_BYTES` a second is closed (1008).
"""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAcceptorProtocol
from ems.net.tls import CertificateError
from ems.protocols.websocket.connection import Refused, WebSocketConnection, WebSocketFactory
from ems.protocols.websocket.wire import CloseCode, text_frame

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.metadata.service import Metadata
    from ems.server import Server

shared_frame = lru_cache(maxsize=16)(text_frame)
"""The frame of a text; the same bytes for everybody who gets the text now."""


class MetadataConnection(WebSocketConnection):
    """One client, and the stream whose metadata it sends and gets."""

    MAX_BYTES = 128 << 10
    """Bytes of metadata a second: two of the largest texts. A KiB of small values costs up to a millisecond; others wait."""

    tags: tuple[str, ...] = ("TCP", "IWS", "WSMETA")

    __slots__ = ("_acceptors_name", "_name", "_sent")

    def __init__(self, server: "Server", acceptors_name: str, *, tls: bool) -> None:
        super().__init__(server)
        self._acceptors_name = acceptors_name
        self._name: str | None = None
        self._sent = 0
        if tls:
            self.tags = WssJsonMeta.tags

    def requested(self, path: str, query: Mapping[str, str]) -> None:
        try:
            name = self.server.aliases.resolve(path) if path else self._acceptors_name
            self._name = self.server.metadata.name_of(name)
        except CommandError as error:
            raise Refused(HTTPStatus.NOT_FOUND, str(error)) from None

    def opened_websocket(self) -> None:
        assert self._name is not None
        self.server.metadata.listen(self._name, self._metadata_came)

    def text(self, text: str) -> None:
        assert self._name is not None
        self._sent += len(text.encode())
        if self._sent > self.MAX_BYTES:
            self.close_websocket(CloseCode.POLICY_VIOLATION, f"more than {self.MAX_BYTES >> 10} KiB of metadata a second")
        else:
            self.server.metadata.publish(self._name, text)

    def tick(self, now: float) -> None:
        self._sent = 0
        super().tick(now)

    def end_streams(self, reason: str) -> None:
        if self._name is not None:
            self.server.metadata.unlisten(self._name, self._metadata_came)

    def _metadata_came(self, metadata: "Metadata") -> None:
        self.send_frame(shared_frame(metadata.text))


@implementer(IAcceptorProtocol)
class WsJsonMeta:
    """The acceptor protocol ``wsJsonMeta``; with a key and a certificate it speaks TLS."""

    protocol = "wsJsonMeta"
    tags = ("TCP", "IWS", "WSMETA")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> WebSocketFactory:
        """The factory of one acceptor (`IAcceptorProtocol`). Raises `CommandError` when ``streamname`` is no name."""
        name = server.metadata.name_of(config.stream_name)
        return WebSocketFactory(server, lambda: MetadataConnection(server, name, tls=config.tls))


@implementer(IAcceptorProtocol)
class WssJsonMeta:
    """The acceptor protocol ``wssJsonMeta``."""

    protocol = "wssJsonMeta"
    tags = ("TCP", "ISSL", "IWS", "WSMETA")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> WebSocketFactory:
        """The factory of one acceptor (`IAcceptorProtocol`). Raises `CertificateError` without key and certificate."""
        if not config.tls:
            raise CertificateError(f"{self.protocol} on port {config.port} needs sslKey and sslCert")
        return WsJsonMeta().make_factory(server, config)
