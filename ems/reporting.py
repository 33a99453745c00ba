"""What happens to streams, connections, ports and the server itself, as events.

The streams know nothing of events, and events nothing of streams: here is who watches the ones (`IStreamReporter`,
`IConnectionObserver`) and emits the others. Nothing is described that nobody wants to know: 500 viewers who join cost 500 times
a few look-ups.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from ems.api.commands.utility import VERSION_KEYS
from ems.api.describe import APPLICATION_ID, describe_acceptor_carrier, describe_carrier, describe_service, describe_stream
from ems.config.keys import Entries, Ignored, declarations
from ems.events.concealment import HIDDEN, concealed
from ems.interfaces import IConnectionObserver, IStreamReporter
from ems.media.track import Kind
from ems.streams.inbound import InboundStream
from ems.streams.outbound import OutboundStream

if TYPE_CHECKING:
    from ems.net.acceptor import Acceptor
    from ems.net.connection import Connection
    from ems.server import Server

FIRST_FRAME = "outStreamFirstFrameSent"

FIRST_FRAME_INTERVAL = 0.25
"""Seconds between two looks at the streams that have not sent their first frame yet, while anybody wants to know of it."""

FEED_STOPPED = {Kind.AUDIO: "audioFeedStopped", Kind.VIDEO: "videoFeedStopped"}


class NeutralStream(OutboundStream):
    """What a message stream of RTMP is before it publishes or plays. It never joins a source."""

    __slots__ = ()

    type_tag = "NR"


@implementer(IStreamReporter, IConnectionObserver)
class Reporting(Service):
    """Emits the events of a server's streams, connections and acceptors, from its making on, and those of the application."""

    name = "reporting"

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._events = server.events
        self._neutral: dict[tuple[int, int], NeutralStream] = {}
        self._silent: dict[int, OutboundStream] = {}
        self._look: IDelayedCall | None = None
        server.streams.reporters.append(self)
        server.connections.observers.append(self)

    def startService(self) -> None:
        super().startService()
        self._events.emit("applicationStart", self._describe_application)

    def stopService(self) -> None:
        super().stopService()
        self._events.emit("applicationStop", self._describe_application)
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def neutral_came(self, connection: "Connection", number: int) -> None:
        if self._events.wants("streamCreated") or self._events.wants("streamClosed"):
            stream = NeutralStream(self._server.streams, "", connection)
            self._neutral[id(connection), number] = stream
            self._emit_stream("streamCreated", stream)

    def neutral_left(self, connection: "Connection", number: int) -> None:
        stream = self._neutral.pop((id(connection), number), None)
        if stream is not None:
            self._emit_stream("streamClosed", stream)

    def stream_made(self, stream: InboundStream | OutboundStream) -> None:
        self._emit_stream(f"{_direction(stream)}Created", stream)

    def stream_over(self, stream: InboundStream | OutboundStream) -> None:
        self._silent.pop(stream.id, None)
        self._emit_stream(f"{_direction(stream)}Closed", stream)

    def codecs_changed(self, stream: InboundStream) -> None:
        self._emit_stream("inStreamCodecsUpdated", stream)
        if self._events.wants("outStreamCodecsUpdated"):
            for outbound in [*stream.outbound.values()]:
                self._emit_stream("outStreamCodecsUpdated", outbound)

    def source_joined(self, outbound: OutboundStream) -> None:
        if outbound.inbound is not None and outbound.inbound.tracks:
            self._emit_stream("outStreamCodecsUpdated", outbound)
        if self._events.wants(FIRST_FRAME) and not _sent(outbound):
            self._silent[outbound.id] = outbound
            self._look_later()

    def feed_stopped(self, stream: InboundStream, kind: Kind) -> None:
        # The documents say streamId, the original sends id.
        payload = {"id": stream.id, "streamId": stream.id, "localStreamName": stream.name}
        self._events.emit(FEED_STOPPED[kind], payload)

    def connection_opened(self, connection: "Connection") -> None:
        self._events.emit("carrierCreated", partial(describe_carrier, connection))
        self._events.emit("protocolRegisteredToApp", partial(self._describe_protocol, connection))

    def connection_closed(self, connection: "Connection") -> None:
        self._events.emit("protocolUnregisteredFromApp", partial(self._describe_protocol, connection))
        self._events.emit("carrierClosed", partial(describe_carrier, connection))

    def acceptor_opened(self, acceptor: "Acceptor") -> None:
        self._events.emit("carrierCreated", partial(describe_acceptor_carrier, acceptor))

    def acceptor_closed(self, acceptor: "Acceptor") -> None:
        self._events.emit("carrierClosed", partial(describe_acceptor_carrier, acceptor))

    def _emit_stream(self, event_type: str, stream: InboundStream | OutboundStream) -> None:
        self._events.emit(event_type, partial(_describe_stream, stream))

    def _look_later(self) -> None:
        if self._look is None:
            self._look = self._server.clock.callLater(FIRST_FRAME_INTERVAL, self._look_for_first_frames)

    def _look_for_first_frames(self) -> None:
        self._look = None
        for outbound in [*self._silent.values()]:
            if _sent(outbound):
                del self._silent[outbound.id]
                self._emit_stream(FIRST_FRAME, outbound)
        if self._silent:
            self._look_later()

    def _describe_protocol(self, connection: "Connection") -> dict[str, Any]:
        return {
            "id": connection.id,
            "protocolType": connection.tags[-1],
            "customParameters": concealed(connection.settings) or self._describe_entrance(connection),
        }

    def _describe_entrance(self, connection: "Connection") -> dict[str, Any]:
        """The acceptor that a connection has come in by; nothing when it is gone."""
        _, port = connection.near
        services = self._server.acceptors.services.values()
        return next((describe_service(acceptor) for acceptor in services if acceptor.port == port), {})

    def _describe_application(self) -> dict[str, Any]:
        application = self._server.config.application
        return {"id": APPLICATION_ID, "name": application.name, "config": concealed(describe_section(application))}


def describe_version(server: "Server") -> dict[str, Any]:
    """The payload of serverStarted and serverStopping."""
    return {ours: getattr(server.version, field) for field, ours in VERSION_KEYS.items()}


def describe_section(section: Any) -> dict[str, Any]:
    """A section of the configuration by the names of its keys, with those of inner sections."""
    described: dict[str, Any] = {}
    for field, key in declarations(type(section)).keys.items():
        value = getattr(section, field)
        if isinstance(key.kind, Entries):
            described |= {item.name: describe_section(item) for item in value}
        elif value is not None and not isinstance(key.kind, Ignored):
            described[key.name] = _described(value)
    return described


def _described(value: Any) -> Any:
    if is_dataclass(value):
        return describe_section(value)
    if isinstance(value, tuple):
        return [_described(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _describe_stream(stream: InboundStream | OutboundStream) -> Mapping[str, Any]:
    described = describe_stream(stream, time())
    return described | {"ingestPoint": HIDDEN} if "ingestPoint" in described else described


def _direction(stream: InboundStream | OutboundStream) -> str:
    return "inStream" if isinstance(stream, InboundStream) else "outStream"


def _sent(outbound: OutboundStream) -> bool:
    counters = outbound.statistics
    return bool(counters.audio.packets or counters.video.packets)
