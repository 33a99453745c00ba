"""Streams for browsers: fragmented MP4 over WebSocket, which a page feeds to its Media Source Extensions.

``ws://host:8410/<stream>`` gets a message with ``ftyp`` and ``moov``, then for each picture a message with ``moof`` and ``mdat``,
from a key frame on. A change of the tracks is a new ``ftyp`` and ``moov``. With ``?progressive`` it gets the blocks of
`ems.formats.fmp4.blocks`. A stream that is not there yet is waited for; when it ends, the connection is closed with 1001, and
with 1011 when it has nothing that MP4 can carry.

A player may send the texts ``pause``, ``resume`` and ``ping``; nothing else is understood, and there is no seeking.

==================  ====================================================================
inboundWSFMP4       takes ``sslKey`` and ``sslCert``, too
inboundWSSFMP4      the same inside TLS; does not open without them
==================  ====================================================================
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ems.errors import CommandError
from ems.formats.fmp4.blocks import metadata_block
from ems.interfaces import IAcceptorProtocol
from ems.net.tls import CertificateError
from ems.protocols.websocket.connection import CloseCode, Refused, WebSocketConnection, WebSocketFactory
from ems.protocols.websocket.fmp4_feed import BlockFeed, Fmp4Feed, MessageFeed, message
from ems.protocols.websocket.fmp4_viewer import Fmp4Viewer
from ems.streams.names import checked_name, short_name

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server

MAX_SHOWN = 64
"""Characters of a text of the client that a log line repeats."""


class Fmp4Connection(WebSocketConnection):
    """One player. It has its `viewer` from the handshake on."""

    __slots__ = ("_began", "_form", "_name", "tags", "viewer")

    def __init__(self, server: "Server", tags: tuple[str, ...]) -> None:
        super().__init__(server)
        self.tags = tags
        self.viewer: Fmp4Viewer | None = None
        self._name = ""
        self._began = False
        self._form: type[Fmp4Feed] = MessageFeed

    @property
    def streams(self) -> list[Any]:
        return [self.viewer] if self.viewer is not None else []

    def requested(self, path: str, query: Mapping[str, str]) -> None:
        if "fullMp4" in query:
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, "whole MP4 files over WebSocket: ask without fullMp4 for fragments")
        try:
            self._name = real_name(self.server, path)
        except CommandError as error:
            raise Refused(HTTPStatus.NOT_FOUND, str(error)) from None
        if "progressive" in query:
            self._form = BlockFeed

    def opened_websocket(self) -> None:
        self.viewer = Fmp4Viewer(self, self._name, self._form)
        self.viewer.subscribe()

    def text(self, text: str) -> None:
        command, viewer = text.partition("=")[0].strip(), self.viewer
        if viewer is None:
            return
        if command in ("pause", "resume"):
            viewer.pause(command == "pause")
        elif command == "ping":
            self._answer_ping()
        else:
            self.log.debug("{peer} says {text!r}, which means nothing here", peer=self.peer_name, text=text[:MAX_SHOWN])

    def stream_came(self) -> None:
        """The player's stream is there."""
        self._emit("WSStreamStarted")
        self._began = True

    def stream_ended(self, reason: str) -> None:
        """The stream is over."""
        self.close_websocket(CloseCode.GOING_AWAY, reason)

    def stream_unfit(self, reason: str) -> None:
        """The stream has nothing for this player."""
        self.close_websocket(CloseCode.INTERNAL_ERROR, reason)

    def end_streams(self, reason: str) -> None:
        if self.viewer is None:
            return
        if self._began:
            self._emit("WSStreamClosed")
        self.viewer.unsubscribe()
        self.viewer = None

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.viewer is not None:
            self.viewer.tick()

    def _emit(self, event_type: str) -> None:
        assert self.viewer is not None
        ip, port = self.far
        event = {"id": self.viewer.id, "connectionId": self.id, "name": self._name, "ip": ip, "port": port}
        self.server.events.emit(event_type, event)

    def _answer_ping(self) -> None:
        """The seconds since 1970: as a block where blocks are spoken, else as a text, which no player takes for a fragment."""
        if self._form is BlockFeed:
            self.send_frame(message(metadata_block(int(time()), "sync")))
        else:
            self.send_text(json.dumps({"timestamp": int(time()), "data": "sync"}))


def real_name(server: "Server", shown: str) -> str:
    """The stream behind the name that a viewer uses. Raises `CommandError`: no viewer may use it, or it is no name at all."""
    checked_name(shown)
    if short_name(shown) in server.ingest_points:
        raise CommandError(f"there is no stream {short_name(shown)!r}")
    return server.aliases.resolve(shown)


@implementer(IAcceptorProtocol)
class InboundWsFmp4:
    """The acceptor protocol ``inboundWSFMP4``."""

    protocol = "inboundWSFMP4"
    tags: tuple[str, ...] = ("TCP", "IWS", "IWSFMP4")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> WebSocketFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        tags = InboundWssFmp4.tags if config.tls else InboundWsFmp4.tags
        return WebSocketFactory(server, lambda: Fmp4Connection(server, tags))


@implementer(IAcceptorProtocol)
class InboundWssFmp4(InboundWsFmp4):
    """The acceptor protocol ``inboundWSSFMP4``."""

    protocol = "inboundWSSFMP4"
    tags = ("TCP", "ISSL", "IWS", "IWSFMP4")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> WebSocketFactory:
        """The factory of one acceptor (`IAcceptorProtocol`). Raises `CertificateError` without key and certificate."""
        if not config.tls:
            raise CertificateError(f"{self.protocol} on port {config.port} needs sslKey and sslCert")
        return super().make_factory(server, config)
