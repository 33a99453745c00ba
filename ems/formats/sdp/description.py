"""SDP, the Session Description Protocol (RFC 8866): what an RTSP server, a camera or a file says that a session consists of.

Lines of one letter, ``=`` and a value. Those before the first ``m=`` describe the session, those behind each ``m=`` one medium::

    v=0                                                 m=video 0 RTP/AVP 97
    o=- 3724394400 1 IN IP4 192.0.2.1                   a=rtpmap:97 H264/90000
    s=title                                             a=fmtp:97 packetization-mode=1;sprop-parameter-sets=Z2QA…,aOvs…
    c=IN IP4 192.0.2.1                                  a=control:trackID=1

Reading is lenient: lines that make no sense are passed over, any line end will do, text that is no UTF-8 is read as Latin-1.
Only what passes a limit is refused. Writing is strict.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ems.errors import LocalProtocolError, MalformedData

MAX_SIZE = 128 * 1024
"""Bytes of a description: the body of an RTSP message."""

MAX_LINES = 4096
"""Lines: a hundred media with forty attributes each."""

MAX_LINE = 64 * 1024
"""Bytes of a line: the parameter sets of H.265 in base64 have a few hundred, and each is of 64 KiB at most."""

MAX_MEDIAS = 64
"""Media: multi-lens cameras have a dozen."""

MAX_CLOCK_RATE = 1_000_000
"""Hz of a payload's clock: media clocks have up to 192 kHz."""

MAX_CHANNELS = 255

MAX_PAYLOAD_TYPE = 127
"""It has seven bits."""

MAX_BANDWIDTH = 0xFFFFFFFF
"""Kilobits, or bits, a second of a ``b=`` line."""

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

Attribute = tuple[str, str]
"""The name of an ``a=`` line and what is behind its colon, empty when it has none."""


class RtpMap(NamedTuple):
    """What a payload type means: the encoding's name as it stands there, the clock in Hz, and channels."""

    encoding: str
    clock_rate: int
    channels: int = 1

    @property
    def name(self) -> str:
        """The encoding's name to compare: case does not count (RFC 8866 §6.6)."""
        return self.encoding.upper()

    def __str__(self) -> str:
        return f"{self.encoding}/{self.clock_rate}/{self.channels}" if self.channels > 1 else f"{self.encoding}/{self.clock_rate}"


STATIC_TYPES = {
    0: RtpMap("PCMU", 8000),
    3: RtpMap("GSM", 8000),
    8: RtpMap("PCMA", 8000),
    9: RtpMap("G722", 8000),
    10: RtpMap("L16", 44100, 2),
    11: RtpMap("L16", 44100),
    14: RtpMap("MPA", 90000),
    26: RtpMap("JPEG", 90000),
    32: RtpMap("MPV", 90000),
    33: RtpMap("MP2T", 90000),
}
"""Payload types that need no ``a=rtpmap`` (RFC 3551 §6), as far as anybody still sends them."""


class Connection(NamedTuple):
    """A ``c=`` line (RFC 8866 §5.7): ``IP4`` or ``IP6``, the address, and the time to live of IPv4 multicast or None."""

    address_type: str
    address: str
    ttl: int | None = None

    def __str__(self) -> str:
        ttl = "" if self.ttl is None else f"/{self.ttl}"
        return f"IN {self.address_type} {self.address}{ttl}"


@dataclass(slots=True)
class Media:
    """A medium: an ``m=`` line and those behind it.

    `kind` is ``video``, ``audio``, ``application`` …; `port` is 0 where RTSP sets it up; `protocol` is ``RTP/AVP`` or another
    transport; `formats` are its payload types as text. `bandwidths` are the ``b=`` lines by their types.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: Connection | None = None
    title: str = ""
    bandwidths: dict[str, int] = field(default_factory=dict)
    attributes: list[Attribute] = field(default_factory=list)

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of this name, None when there is none."""
        return _first(self.attributes, name)

    @property
    def control(self) -> str:
        """The RTSP address of the medium, absolute or relative (RFC 2326 §C.1.1); empty when it is not told."""
        return self.attribute("control") or ""

    @property
    def direction(self) -> str | None:
        """``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive``; None when the session's holds."""
        return _direction(self.attributes)

    @property
    def payload_types(self) -> tuple[int, ...]:
        """The formats that can be payload types, in order of preference."""
        numbers = [_number(text, MAX_PAYLOAD_TYPE) for text in self.formats]
        return tuple(number for number in numbers if number is not None)

    def rtpmap(self, payload_type: int) -> RtpMap | None:
        """What a payload type means: by ``a=rtpmap``, else by RFC 3551; None when nothing says it, or nothing possible."""
        for value in self._of_type("rtpmap", payload_type):
            if (read := _read_rtpmap(value)) is not None:
                return read
        return STATIC_TYPES.get(payload_type)

    def fmtp(self, payload_type: int) -> dict[str, str]:
        """The parameters of a payload type's ``a=fmtp``, names in lower case. A name without a value has an empty one."""
        parameters: dict[str, str] = {}
        for value in self._of_type("fmtp", payload_type):
            for part in value.split(";"):
                name, _, text = part.partition("=")
                if name := name.strip().lower():
                    parameters.setdefault(name, text.strip())
        return parameters

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """Width and height of ``a=framesize`` (3GPP TS 26.234 §5.3.3.2) or ``a=x-dimensions``, in pixels."""
        text = (self.attribute("framesize") or "").partition(" ")[2] or self.attribute("x-dimensions") or ""
        width, _, height = text.replace(",", "-").partition("-")
        sides = _number(width, 65535), _number(height, 65535)
        return None if sides[0] is None or sides[1] is None else (sides[0], sides[1])

    @property
    def is_transport_stream(self) -> bool:
        """True for MPEG-TS: payload type 33 or MP2T in RTP, or bare in UDP as ``RAW/RAW/UDP`` has it.

        Its payloads are whole transport packets, which go to `ems.formats.mpegts.demux.TsDemuxer` as they are.
        """
        if not self.payload_types:
            return False
        mapped = self.rtpmap(self.payload_types[0])
        return mapped is not None and mapped.name == "MP2T"

    def _of_type(self, name: str, payload_type: int) -> Iterator[str]:
        """What is behind the payload type in the attributes of this name."""
        for key, value in self.attributes:
            if key == name:
                number, _, rest = value.strip().partition(" ")
                if _number(number, MAX_PAYLOAD_TYPE) == payload_type:
                    yield rest.strip()


@dataclass(slots=True)
class SessionDescription:
    """A description. `origin` is the ``o=`` line as it stands; `times` are the ``t=`` lines, ``0 0`` for what has no end."""

    name: str = "-"
    origin: str = "- 0 0 IN IP4 127.0.0.1"
    information: str = ""
    uri: str = ""
    email: str = ""
    connection: Connection | None = None
    times: list[str] = field(default_factory=lambda: ["0 0"])
    bandwidths: dict[str, int] = field(default_factory=dict)
    attributes: list[Attribute] = field(default_factory=list)
    medias: list[Media] = field(default_factory=list)

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of the session with this name, None when there is none."""
        return _first(self.attributes, name)

    @property
    def control(self) -> str:
        """The RTSP address of the whole session; empty when it is not told."""
        return self.attribute("control") or ""

    @property
    def range(self) -> str:
        """``a=range``, as in ``npt=0-12.5``; empty when it is not told."""
        return self.attribute("range") or ""

    @property
    def direction(self) -> str | None:
        """The direction of all media that do not tell theirs."""
        return _direction(self.attributes)

    def connection_of(self, media: Media) -> Connection | None:
        """Where a medium is sent from or to: its own ``c=`` line, else that of the session."""
        return media.connection or self.connection

    def __str__(self) -> str:
        """The description, its lines ended by CR LF (RFC 8866 §5). Raises `LocalProtocolError` for control characters."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name or '-'}"]
        lines += [
            f"{letter}={value}" for letter, value in zip("iue", (self.information, self.uri, self.email), strict=True) if value
        ]
        lines += _common_lines(self.connection, self.bandwidths)
        lines += [f"t={value}" for value in self.times or ["0 0"]]
        lines += _attribute_lines(self.attributes)
        for media in self.medias:
            lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
            if media.title:
                lines.append(f"i={media.title}")
            lines += _common_lines(media.connection, media.bandwidths) + _attribute_lines(media.attributes)
        for line in lines:
            if not line.isprintable():
                raise LocalProtocolError(f"a line of SDP with a control character: {line!r}")
        return "\r\n".join(lines) + "\r\n"

    def __bytes__(self) -> bytes:
        return str(self).encode()


def parse(data: bytes | str) -> SessionDescription:
    """Read a description. What makes no sense is passed over; raises `MalformedData` when a limit is passed."""
    if len(data) > MAX_SIZE:
        raise MalformedData(f"an SDP of {len(data)} bytes passes the limit of {MAX_SIZE}")
    text = data if isinstance(data, str) else _decoded(data)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n", MAX_LINES)
    if len(lines) > MAX_LINES:
        raise MalformedData(f"an SDP of more than {MAX_LINES} lines")
    session = SessionDescription(times=[])
    media: Media | None = None
    skipping = False
    for line in lines:
        letter, separator, value = line.strip().partition("=")
        if len(line) > MAX_LINE:
            raise MalformedData(f"a line of SDP with {len(line)} bytes passes the limit of {MAX_LINE}")
        if not separator or len(letter) != 1:
            continue
        if letter == "m":
            media = _read_media(value)
            skipping = media is None  # the lines behind a medium that is not understood are its own, too
            if media is not None:
                session.medias.append(media)
                if len(session.medias) > MAX_MEDIAS:
                    raise MalformedData(f"an SDP of more than {MAX_MEDIAS} media")
        elif not skipping:
            _read_line(letter, value.strip(), session, media)
    return session


def _read_line(letter: str, value: str, session: SessionDescription, media: Media | None) -> None:
    """A line that describes the session, or the medium when there is one already."""
    target = media or session
    match letter:
        case "a":
            name, _, text = value.partition(":")
            target.attributes.append((name.strip(), text.strip()))
        case "c":
            target.connection = _read_connection(value) or target.connection
        case "b":
            kind, _, text = value.partition(":")
            if (bandwidth := _number(text, MAX_BANDWIDTH)) is not None:
                target.bandwidths[kind.strip()] = bandwidth
        case "i" if media is not None:
            media.title = value
        case "s":
            session.name = value
        case "o":
            session.origin = value
        case "i":
            session.information = value
        case "u":
            session.uri = value
        case "e":
            session.email = value
        case "t":
            session.times.append(value)


def _read_media(value: str) -> Media | None:
    """An ``m=`` line: kind, port, which may have a count behind a slash, protocol, and formats."""
    words = value.split()
    if len(words) < 3:
        return None
    port = _number(words[1].partition("/")[0], 65535)
    return None if port is None else Media(words[0].lower(), port, words[2], tuple(words[3:]))


def _read_connection(value: str) -> Connection | None:
    words = value.split()
    if len(words) < 3 or words[0].upper() != "IN":
        return None
    address, _, behind = words[2].partition("/")
    kind = words[1].upper()
    return Connection(kind, address, _number(behind.partition("/")[0], 255) if kind == "IP4" else None)


def _read_rtpmap(value: str) -> RtpMap | None:
    """``encoding/rate`` or ``encoding/rate/channels``; None when the numbers cannot be."""
    encoding, _, numbers = value.partition("/")
    rate, _, channels = numbers.partition("/")
    clock_rate, count = _number(rate, MAX_CLOCK_RATE), _number(channels.strip() or "1", MAX_CHANNELS)
    return RtpMap(encoding.strip(), clock_rate, count) if encoding.strip() and clock_rate and count else None


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _number(text: str, most: int) -> int | None:
    """The number that these decimal digits are; None for anything else, and for more than `most`."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        return None
    number = int(text)
    return number if number <= most else None


def _first(attributes: list[Attribute], name: str) -> str | None:
    return next((value for key, value in attributes if key == name), None)


def _direction(attributes: list[Attribute]) -> str | None:
    return next((key for key, _ in attributes if key in DIRECTIONS), None)


def _common_lines(connection: Connection | None, bandwidths: dict[str, int]) -> list[str]:
    """The ``c=`` and ``b=`` lines, which sessions and media have alike."""
    return [f"c={connection}"] * (connection is not None) + [f"b={kind}:{number}" for kind, number in bandwidths.items()]


def _attribute_lines(attributes: list[Attribute]) -> list[str]:
    return [f"a={name}:{value}" if value else f"a={name}" for name, value in attributes]
