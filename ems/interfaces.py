"""Every interface that a plugin author implements or is handed.

A plugin is an object in a module of the package ``twisted.plugins`` that provides one of these interfaces; the server finds
it with `twisted.plugin.getPlugins`. The built-in protocols and commands come in the same way. ``docs/plugins.md`` has a
complete example.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory

    from ems.api.command import Command
    from ems.config import AcceptorConfig
    from ems.media.frame import Frame
    from ems.media.track import Track
    from ems.server import Server


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
