"""Noticing that somebody new is fed from a stream, for sources that are asked for a key frame then (``sendRenewStream``)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from ems.interfaces import IStreamReporter

if TYPE_CHECKING:
    from ems.media.track import Kind
    from ems.net.connection import Connection
    from ems.server import Server
    from ems.streams.inbound import InboundStream
    from ems.streams.outbound import OutboundStream


@implementer(IStreamReporter)
class Renewal:
    """Calls `joined` for everybody who begins to be fed from `stream`, until `close`."""

    def __init__(self, server: "Server", stream: "InboundStream", joined: Callable[[], None]) -> None:
        self._reporters = server.streams.reporters
        self._stream = stream
        self._joined = joined
        self._reporters.append(self)

    def close(self) -> None:
        """Watch no more."""
        # Whoever is being told goes through the list at this moment.
        self._reporters[:] = [other for other in self._reporters if other is not self]

    def source_joined(self, outbound: "OutboundStream") -> None:
        if outbound.inbound is self._stream:
            self._joined()

    def neutral_came(self, connection: "Connection", number: int) -> None:
        """Of no interest."""

    def neutral_left(self, connection: "Connection", number: int) -> None:
        """Of no interest."""

    def stream_made(self, stream: "InboundStream | OutboundStream") -> None:
        """Of no interest."""

    def stream_over(self, stream: "InboundStream | OutboundStream") -> None:
        """Of no interest."""

    def codecs_changed(self, stream: "InboundStream") -> None:
        """Of no interest."""

    def feed_stopped(self, stream: "InboundStream", kind: "Kind") -> None:
        """Of no interest."""
