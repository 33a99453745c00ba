"""Pulling raw RTP: ``pullStream uri=rtp://address:port``, which listens there, in a multicast group if the address is one.

=====================  ================================================================================================
isAudio                1: AAC (RFC 3640, AAC-hbr) with ``audioCodecBytes``, the AudioSpecificConfig in hexadecimal digits
isAudio                0: H.264 (RFC 6184) with ``spsBytes`` and ``ppsBytes``, NAL units in base64 without start codes
ssmIp                  the only sender from whom a multicast group is received (RFC 4607)
=====================  ================================================================================================
"""

from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from twisted.logger import LogLevel
from zope.interface import implementer

from ems.errors import CommandError
from ems.formats.rtp.depacketise import Depacketiser, make_track_depacketiser
from ems.formats.rtp.reception import Reception
from ems.interfaces import IAttempt, IAttemptObserver, IPuller
from ems.media import aac, h264
from ems.media.frame import Frame
from ems.media.track import Kind, Track
from ems.net.attempt import Attempt
from ems.net.connection import Connection
from ems.net.datagrams import DatagramListener, PeerAddress
from ems.net.udp import bound_socket
from ems.streams.inbound import InboundStream
from ems.uri import Uri, is_literal_address

if TYPE_CHECKING:
    from ems.server import Server

TYPE_TAG = "INP"

MAX_SETTING = 64 << 10
"""Characters of a codec's configuration: more than any parameter set has (`ems.media.nal.MAX_PARAMETER_SET`)."""

VIDEO_TRACK, AUDIO_TRACK = 1, 2


class RtpSource(Connection):
    """Whoever sends the packets. It begins with the first of them."""

    tags = ("UDP", "IRTP")
    close_level = LogLevel.debug

    def __init__(self, server: "Server", attempt: "RtpAttempt") -> None:
        super().__init__(server.connections)
        self._server = server
        self._attempt = attempt
        self._reception = Reception([(attempt.make_depacketiser(), None)], interval=0)
        self._stream: InboundStream | None = None
        self._track: Track | None = None
        self._why = ""

    @property
    def streams(self) -> list[Any]:
        return [self._stream] if self._stream is not None else []

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._attempt.settings

    def dataReceived(self, data: bytes) -> None:
        self.bytes_received += len(data)
        frames = self._reception.rtp(0, data, monotonic_ns())
        if frames:
            self._push(frames)

    def tick(self, now: float) -> None:
        frames = self._reception.expire(monotonic_ns())
        if frames:
            self._push(frames)
        stream, medium = self._stream, self._reception.medias[0]
        if stream is not None and self._track is not None:
            counters = stream.statistics.video if self._track.kind is Kind.VIDEO else stream.statistics.audio
            counters.dropped_packets = medium.depacketiser.dropped
            stream.details = {**stream.details, "lostPackets": str(medium.lost)}

    def close(self, reason: str) -> None:
        self._why = self._why or reason
        super().close(reason)

    def closed(self, reason: str) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end(self._why or reason)
        self._attempt.lost(self._why or reason)

    def _push(self, frames: list[Frame]) -> None:
        stream = self._stream or self._begin()
        if stream is None:
            return
        for frame in frames:
            if frame.track is not self._track:
                self._track = frame.track
                stream.set_tracks((frame.track,))
            stream.push(frame)
        stream.origin = self._reception.timeline.origin

    def _begin(self) -> InboundStream | None:
        if self._why:
            return None
        name = str(self.settings["localStreamName"])
        try:
            stream = self._stream = self._server.streams.register(name, type_tag=TYPE_TAG, source=self)
        except CommandError as error:
            self.close(str(error))
            return None
        self._attempt.observer.streaming(stream)
        return stream


class RtpAttempt(Attempt):
    """One pull: a socket, and whoever sends to it, until it has ended."""

    def __init__(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> None:
        super().__init__(server, uri, settings, observer)
        self._listener = DatagramListener(server.clock, self._make_source, self._admit)

    def start(self) -> None:
        """Raises `CommandError` or `MalformedData` for the settings, and `OSError` for an address or port that we cannot have."""
        self._track = read_track(self.settings)
        self._listen()
        self.observer.connected()

    def release(self) -> None:
        self._listener.close()

    def make_depacketiser(self) -> Depacketiser:
        """What reads the packets."""
        made = make_track_depacketiser(self._track)
        assert made is not None
        return made

    def _listen(self) -> None:
        host = self.uri.host
        if not is_literal_address(host):
            raise CommandError(f"{host} is no IP address, which raw RTP needs")
        self.check_address(host)
        opened = self._listener.open(bound_socket(host, self.uri.port))
        try:
            opened.join(host, source=str(self.settings.get("ssmIp", "")))
        except CommandError:
            # It is no group: unicast needs nothing more.
            return

    def _admit(self, peer: PeerAddress) -> bool:
        return not self._ended

    def _make_source(self, peer: PeerAddress) -> Connection:
        self._connection = RtpSource(self.server, self)
        return self._connection


@implementer(IPuller)
class RtpPuller:
    """Pulls raw RTP."""

    schemes = ("rtp",)

    def pull(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtpAttempt(server, uri, settings, observer).begin()


def read_track(settings: Mapping[str, Any]) -> Track:
    """The track that the settings describe. Raises `CommandError` or `MalformedData` when they describe none."""
    if settings.get("isAudio", True):
        return aac.make_track(AUDIO_TRACK, _hexadecimal("audioCodecBytes", settings))
    configuration = h264.make_configuration([_base64("spsBytes", settings)], [_base64("ppsBytes", settings)])
    return h264.make_track(VIDEO_TRACK, bytes(configuration))


def _hexadecimal(key: str, settings: Mapping[str, Any]) -> bytes:
    text = _setting(key, settings)
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise CommandError(f"{key} has to be hexadecimal digits, as 1190, not {text[:40]!r}") from None


def _base64(key: str, settings: Mapping[str, Any]) -> bytes:
    text = _setting(key, settings)
    try:
        # The padding gets lost easily, as an equals sign means something else on a command line.
        return b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (NoBase64, ValueError):
        raise CommandError(f"{key} has to be base64, not {text[:40]!r}") from None


def _setting(key: str, settings: Mapping[str, Any]) -> str:
    text = str(settings.get(key, "")).strip()
    if not text or len(text) > MAX_SETTING:
        raise CommandError(f"{key} is needed" if not text else f"{key} has {len(text)} characters, more than {MAX_SETTING}")
    return text
