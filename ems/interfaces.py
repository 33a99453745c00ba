"""Every interface that a plugin author implements or is handed.

A plugin is an object in a module of the package ``twisted.plugins`` that provides one of these interfaces; the server finds
it with `twisted.plugin.getPlugins`. The built-in protocols and commands come in the same way. ``docs/plugins.md`` has a
complete example.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProtocolFactory

    from ems.api.command import Command
    from ems.config import AcceptorConfig
    from ems.events.event import Event
    from ems.media.frame import Frame
    from ems.media.track import Kind, Track
    from ems.net.acceptor import Acceptor
    from ems.net.connection import Connection
    from ems.server import Server
    from ems.streams.inbound import InboundStream
    from ems.streams.outbound import OutboundStream
    from ems.uri import Uri


class IFrameSink(Interface):
    """Whoever consumes a stream: a feed of viewers, a segmenter, a recorder, a push.

    A sink is primed when it is added: it is told the tracks and given the frames since the last key frame.
    """

    def tracks_changed(tracks: "tuple[Track, ...]") -> None:
        """These are the tracks from now on. Frames that follow belong to one of them."""

    def frame(frame: "Frame") -> None:
        """The next frame, in the order of the source."""

    def ended(reason: str) -> None:
        """The stream is over; no more calls follow."""


class IAcceptorProtocol(Interface):
    """A protocol that listens: what `protocol =` of an acceptor in config.lua, and of createService, names."""

    protocol: str = Attribute("The name, as in ``inboundRtmp``.")
    tags: tuple[str, ...] = Attribute("The layers of a connection, far to near, as the runtime API names them: TCP, IR.")

    def make_factory(server: "Server", config: "AcceptorConfig") -> "IProtocolFactory":
        """A factory of this acceptor's connections, whose protocols derive from `ems.net.connection.Connection`."""


class ICommandGroup(Interface):
    """Commands for the runtime API."""

    def commands() -> "Iterable[Command]":
        """The declarations (`ems.api.command`), handlers included."""


class IAttemptObserver(Interface):
    """Whoever asked for a pull or a push, and is told how it fares. Calls come in this order; `ended` is the last, and once."""

    def connected() -> None:
        """The other server has answered."""

    def streaming(stream: "InboundStream | OutboundStream") -> None:
        """Media may flow: this is the stream that came of it."""

    def ended(reason: str) -> None:
        """The attempt is over, whether it had begun to stream or not."""


class IAttempt(Interface):
    """One pull or push under way."""

    def stop(reason: str) -> None:
        """Give it up in good order; the observer's `ended` follows."""


class IPuller(Interface):
    """Brings in streams from other servers: what `pullStream` uses for its URI schemes."""

    schemes: tuple[str, ...] = Attribute("The URI schemes, in lower case: rtmp, rtmps.")

    def pull(server: "Server", uri: "Uri", settings: "Mapping[str, Any]", observer: IAttemptObserver) -> IAttempt:
        """Connect to `uri` and publish what comes as the stream `settings["localStreamName"]`.

        `settings` are the parameters of pullStream, in the runtime API's words. Never raises for what the network does.
        """


class IScaledSource(Interface):
    """The connection of a pulled stream (`InboundStream.source`) whose source can be asked to play at another speed."""

    def scale(factor: float) -> "Deferred[None]":
        """Ask for that speed: 1 is the usual one, negative ones are backwards. Fails with `CommandError` when it is refused."""


class IPusher(Interface):
    """Sends local streams to other servers: what `pushStream` uses for its URI schemes."""

    schemes: tuple[str, ...] = Attribute("The URI schemes, in lower case: rtmp, rtmps.")

    def push(server: "Server", uri: "Uri", settings: "Mapping[str, Any]", observer: IAttemptObserver) -> IAttempt:
        """Connect to `uri` and send the stream `settings["localStreamName"]` there; it ends when that stream ends.

        `settings` are the parameters of pushStream. Never raises for what the network does.
        """


class IEventSink(Interface):
    """Wants to know what happens in the server. A sink that is installed is used, by every server of the machine."""

    events: "tuple[str, ...] | None" = Attribute("The types of events that it is told of (docs/events.md), None for all.")

    def open(server: "Server") -> None:
        """The server starts. Whoever raises here is left out."""

    def event(event: "Event") -> None:
        """Something has happened. Must not block; whoever raises is logged and goes on being told."""

    def close() -> "Deferred[None] | None":
        """The server stops, and waits up to 5 s for the Deferred, if there is one."""


class IStreamReporter(Interface):
    """Who wants to know everything about streams (`StreamManager.reporters`). What it does must cost little."""

    def neutral_came(connection: "Connection", number: int) -> None:
        """A connection has made a message stream, which neither publishes nor plays yet."""

    def neutral_left(connection: "Connection", number: int) -> None:
        """It does so now, or is gone."""

    def stream_made(stream: "InboundStream | OutboundStream") -> None:
        """There is a stream, without tracks and without its source yet."""

    def stream_over(stream: "InboundStream | OutboundStream") -> None:
        """A stream has ended; its counters are final."""

    def codecs_changed(stream: "InboundStream") -> None:
        """The first audio or video track has another codec, for all who are fed from it as well."""

    def source_joined(outbound: "OutboundStream") -> None:
        """An outbound stream is fed from now on, by `outbound.inbound`."""

    def feed_stopped(stream: "InboundStream", kind: "Kind") -> None:
        """There have been no frames of that kind for a while."""


class IConnectionObserver(Interface):
    """Who wants to know of every connection and acceptor (`ConnectionRegistry.observers`)."""

    def connection_opened(connection: "Connection") -> None:
        """The connection has its ids."""

    def connection_closed(connection: "Connection") -> None:
        """The transport is lost; its addresses are still known."""

    def acceptor_opened(acceptor: "Acceptor") -> None:
        """A port listens."""

    def acceptor_closed(acceptor: "Acceptor") -> None:
        """A port listens no more."""


class IStreamObserver(Interface):
    """Who wants to know of every inbound stream (`StreamManager.observers`)."""

    def stream_came(stream: "InboundStream") -> None:
        """The stream has its name and is found by it."""

    def stream_left(stream: "InboundStream", reason: str) -> None:
        """The stream has ended and its name is free."""
