"""A session description in a file as a source: ``pullStream uri=file:///…/x.sdp``.

The file says to which addresses and ports media are sent; there is no RTSP. Only files ``.sdp`` in the runtime directory are
read.
"""

from collections.abc import Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from twisted.logger import LogLevel
from zope.interface import implementer

from ems.errors import CommandError, MalformedData, RemoteProtocolError
from ems.formats import sdp
from ems.interfaces import IAttempt, IAttemptObserver, IPuller
from ems.net.attempt import Attempt
from ems.net.connection import Connection
from ems.net.datagrams import DatagramTransport
from ems.protocols.rtsp.client_sockets import MediaSockets
from ems.protocols.rtsp.incoming import TYPE_TAG, Incoming, chosen_media, is_bare_transport_stream
from ems.security.paths import require_inside
from ems.streams.inbound import InboundStream
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

SUFFIX = ".sdp"

MAX_FILE = 16 << 10
"""Bytes of a file: few enough to be read at once, without a thread. Descriptions have one or two KiB."""

REPORT_SECONDS = 5
"""Between two receiver reports (RFC 3550 §6.2)."""


class SdpSource(Connection):
    """The sockets that a description asks for, as one connection."""

    tags = ("UDP", "SDP")
    close_level = LogLevel.debug

    def __init__(self, server: "Server", attempt: "SdpAttempt", description: sdp.SessionDescription) -> None:
        """Raises what binding raises, and `RemoteProtocolError` for a description of nothing that can be taken."""
        super().__init__(server.connections)
        self._attempt = attempt
        self._why = ""
        self._seconds = 0
        settings = attempt.settings
        medias = chosen_media(description)
        self._sockets: list[MediaSockets] = []
        raw = is_bare_transport_stream(medias[0])
        name, interval = str(settings["localStreamName"]), float(settings.get("rtcpDetectionInterval", 10))
        self._incoming = Incoming(
            medias,
            lambda: server.streams.register(name, type_tag=TYPE_TAG, source=self),
            self.close,
            self._streaming,
            interval=interval,
            raw=raw,
        )
        try:
            for index, media in enumerate(medias):
                self._sockets.append(self._open(server, index, media, description))
        except BaseException:
            self._close_sockets()
            raise
        self._clock = server.clock

    def begin(self) -> None:
        """Be a connection from now on."""
        near = self._sockets[0].both[0].address
        DatagramTransport(self._clock, near, ("", 0), self._close_sockets).attach(self)

    @property
    def streams(self) -> list[Any]:
        return [self._incoming.stream] if self._incoming.stream is not None else []

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._attempt.settings

    def tick(self, now: float) -> None:
        self._incoming.tick()

    def close(self, reason: str) -> None:
        self._why = self._why or reason
        super().close(reason)

    def closed(self, reason: str) -> None:
        self._incoming.end(self._why or reason)
        self._attempt.lost(self._why or reason)

    def _open(self, server: "Server", index: int, media: sdp.Media, description: sdp.SessionDescription) -> MediaSockets:
        connection = description.connection_of(media)
        if not media.port or connection is None:
            raise RemoteProtocolError("the description does not say to where media are sent")
        rtp, rtcp = partial(self._incoming.rtp, index), partial(self._incoming.rtcp, index)
        ports = media.port, min(media.port + 1, 65_535)
        host = _own_address(connection.address)
        return MediaSockets.at(server, host, ports, rtp, rtcp, self)

    def _streaming(self, stream: InboundStream) -> None:
        self._attempt.observer.streaming(stream)

    def _close_sockets(self) -> None:
        for pair in self._sockets:
            pair.close()


class SdpAttempt(Attempt):
    """One pull of a description."""

    def start(self) -> Connection:
        """Raises `CommandError` or `RemoteProtocolError` for the file, and `OSError` for addresses that we cannot have."""
        source = SdpSource(self.server, self, sdp.parse(read_file(self.server.runtime.directory, self.uri)))
        source.begin()
        self.observer.connected()
        return source


@implementer(IPuller)
class SdpPuller:
    """Pulls what a description in a file says."""

    schemes = ("file",)

    def pull(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return SdpAttempt(server, uri, settings, observer).begin()


def read_file(runtime: Path, uri: Uri) -> bytes:
    """The bytes of a description. Raises `CommandError` for a file that is none or lies outside the runtime directory."""
    path = Path(unquote(uri.path))
    if path.suffix.lower() != SUFFIX or "\0" in str(path):
        raise CommandError(f"only files {SUFFIX} are read")
    # A file may not be there; where one would be must not be told of other directories.
    require_inside(runtime, path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    if len(content) > MAX_FILE:
        raise MalformedData(f"{path} has more than {MAX_FILE} bytes")
    return content


def _own_address(address: str) -> str:
    """Where to listen for what is sent to an address: a group, or the loopback one, else all addresses of this machine."""
    try:
        literal = ip_address(address)
    except ValueError:
        raise RemoteProtocolError(f"the description names no IP address but {address[:80]!r}") from None
    if literal.is_multicast or literal.is_loopback:
        return address
    return "::" if literal.version == 6 else "0.0.0.0"
