"""The acceptor protocol ``inboundLine``: a live stream as lines of text.

::

    stream NAME
    track ID CODEC CONFIGURATION            h264, aac or opus, and its configuration record in base64
    frame ID MILLISECONDS KEY DATA          KEY is 1 for a key frame and 0 for others; the access unit in base64
"""

from base64 import b64decode
from time import monotonic_ns

from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver
from zope.interface import implementer

from ems.config import AcceptorConfig
from ems.errors import CommandError, MalformedData, RemoteProtocolError
from ems.interfaces import IAcceptorProtocol
from ems.media import aac, h264, nal, opus
from ems.media.frame import MILLISECOND, Frame
from ems.media.timeline import Timeline
from ems.media.track import Track
from ems.net.connection import Connection
from ems.server import Server

MAKE_TRACK = {"h264": h264.make_track, "aac": aac.make_track, "opus": opus.make_track}


class LineConnection(Connection, LineOnlyReceiver):
    """One publisher."""

    tags = ("TCP", "ILINE")
    delimiter = b"\n"
    MAX_LENGTH = 12 << 20  # an access unit of 8 MiB in base64

    def __init__(self, server: Server) -> None:
        super().__init__(server.connections)
        self.server, self.stream = server, None
        self.timeline = Timeline()
        self.tracks: dict[int, Track] = {}

    def dataReceived(self, data: bytes) -> None:
        self.bytes_received += len(data)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        try:
            self.command(line.decode().split())
        except (RemoteProtocolError, CommandError, ValueError, KeyError) as error:
            self.close(f"{line[:40]!r}: {error}")

    def command(self, words: list[str]) -> None:
        match words:
            case ["stream", name] if self.stream is None:
                self.stream = self.server.streams.register(name, type_tag="INEXT", source=self)
            case ["track", number, codec, config] if self.stream and 0 <= int(number) < 16:
                self.tracks[int(number)] = MAKE_TRACK[codec](int(number), b64decode(config))
                self.stream.set_tracks(tuple(self.tracks.values()))
            case ["frame", number, ms, key, data]:
                self.frame(self.tracks[int(number)], int(ms) * MILLISECOND, key == "1", b64decode(data))
            case _:
                raise RemoteProtocolError("not understood")

    def frame(self, track: Track, time: int, key: bool, data: bytes) -> None:
        if track.codec == "h264" and not nal.lengths_are_true(data):
            raise MalformedData("the lengths of the NAL units are not true")
        dts = self.timeline.place(track.id, time, monotonic_ns())
        self.stream.push(Frame(track, dts, dts, key, data))

    def closed(self, reason: str) -> None:
        if self.stream is not None:
            self.stream.end(reason)


@implementer(IAcceptorProtocol)
class InboundLine:
    """What EMS asks for the factory of an acceptor."""

    protocol = "inboundLine"
    tags = LineConnection.tags

    def make_factory(self, server: Server, config: AcceptorConfig) -> Factory:
        return Factory.forProtocol(lambda: LineConnection(server))
