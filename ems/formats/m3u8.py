"""m3u8 playlists (RFC 8216): values that become text, and text of our own that becomes values again.

A *media playlist* lists the segments of one stream, a *master playlist* the streams that a player may choose from::

    #EXTM3U                                   #EXTM3U
    #EXT-X-VERSION:3                          #EXT-X-VERSION:6
    #EXT-X-TARGETDURATION:2                   #EXT-X-STREAM-INF:BANDWIDTH=1100000,CODECS="avc1.64001F,mp4a.40.2"
    #EXT-X-MEDIA-SEQUENCE:42                  hi/playlist.m3u8
    #EXTINF:2.000,
    segment_1709287200120_42.ts

Lines end in LF; tags come in the order in which §4.3 describes them. Durations are whole milliseconds throughout, so that a
list of a day's segments adds up to the day. `read_media_playlist` reads what `MediaPlaylist.text` writes, as a server does
that goes on with the playlist of before a restart; tags that it does not know are passed over, as §6.3.1 has it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from ems.errors import MalformedData

MAX_PLAYLIST = 64 << 20
"""Bytes of a playlist that is read: half a million segments, two weeks of two seconds each."""

EVENT, VOD = "EVENT", "VOD"
"""Values of EXT-X-PLAYLIST-TYPE (§4.3.3.5)."""

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",]*)(?:,|$)')


@dataclass(frozen=True, slots=True)
class Key:
    """EXT-X-KEY (§4.3.2.4). `method` is AES-128 or SAMPLE-AES, `iv` 16 bytes, or None: then it is the segment's number."""

    method: str
    uri: str
    iv: bytes | None = None
    key_format: str = ""
    key_format_versions: str = ""

    @property
    def tag(self) -> str:
        """The line, without its end."""
        return "#EXT-X-KEY:" + attributes(
            {
                "METHOD": self.method,
                "URI": quoted(self.uri),
                "IV": f"0x{self.iv.hex()}" if self.iv is not None else None,
                "KEYFORMAT": quoted(self.key_format) if self.key_format else None,
                "KEYFORMATVERSIONS": quoted(self.key_format_versions) if self.key_format_versions else None,
            }
        )


@dataclass(frozen=True, slots=True)
class ByteRange:
    """EXT-X-BYTERANGE (§4.3.2.2): so many bytes of the file, from this offset on."""

    length: int
    offset: int

    def __str__(self) -> str:
        return f"{self.length}@{self.offset}"


@dataclass(frozen=True, slots=True)
class Part:
    """EXT-X-PART (RFC 8216bis §4.4.4.9): a piece of a segment. Parts are short: `duration` is in microseconds.

    `independent`: a player can begin in it. `gap`: it is missing and must not be asked for.
    """

    uri: str
    duration: int
    independent: bool = False
    gap: bool = False

    @property
    def tag(self) -> str:
        """The line, without its end."""
        return "#EXT-X-PART:" + attributes(
            {
                "DURATION": f"{self.duration // 1_000_000}.{self.duration % 1_000_000:06d}",
                "URI": quoted(self.uri),
                "INDEPENDENT": "YES" if self.independent else None,
                "GAP": "YES" if self.gap else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry of a media playlist. `duration` is in milliseconds; `map_uri` names the initialisation segment (EXT-X-MAP).

    `discontinuity`: players have to begin anew here. `date` is when its first frame was there, with its offset from UTC.
    `gap`: the segment is missing and must not be asked for. `parts` are its parts as long as they are listed; they are not read.
    """

    uri: str
    duration: int
    discontinuity: bool = False
    key: Key | None = None
    map_uri: str = ""
    date: datetime | None = None
    byte_range: ByteRange | None = None
    gap: bool = False
    parts: tuple[Part, ...] = ()

    def text(self, before: "Segment | None", *, version: int = 3, dated: bool = False) -> str:
        """Its lines. Key and map are told where they differ from those of the segment `before`, the date after a
        discontinuity, and with `dated`."""
        lines = self.opening(before, dated=dated)
        if self.gap:
            lines.append("#EXT-X-GAP")
        lines.append(f"#EXTINF:{seconds(self.duration) if version >= 3 else rounded(self.duration)},")
        if self.byte_range is not None:
            lines.append(f"#EXT-X-BYTERANGE:{self.byte_range}")
        return "\n".join([*lines, self.uri, ""])

    def opening(self, before: "Segment | None", *, dated: bool = False) -> list[str]:
        """The lines that are there before the segment is complete: what applies to it, and its parts."""
        lines = []
        if self.discontinuity:
            lines.append("#EXT-X-DISCONTINUITY")
        if self.key != (before.key if before else None):
            lines.append(self.key.tag if self.key else "#EXT-X-KEY:METHOD=NONE")
        if self.map_uri and (before is None or self.discontinuity or self.map_uri != before.map_uri):
            lines.append(f"#EXT-X-MAP:URI={quoted(self.map_uri)}")
        if self.date is not None and (dated or self.discontinuity):
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{self.date.isoformat(timespec='milliseconds')}")
        return lines + [part.tag for part in self.parts]


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """A media playlist (§4.3.3). `target_duration` and `start_offset` are in seconds.

    `media_sequence` is the number of the first segment in `segments`, `discontinuity_sequence` how many discontinuities have
    left the list before it. `playlist_type` is EVENT, VOD or empty. `tags` are further lines for the head of the list.
    """

    version: int
    target_duration: int
    segments: tuple[Segment, ...] = ()
    media_sequence: int = 1
    discontinuity_sequence: int = 0
    playlist_type: str = ""
    ended: bool = False
    start_offset: float | None = None
    allow_cache: bool = True
    independent_segments: bool = False
    tags: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """The lines before the first segment."""
        lines = ["#EXTM3U", f"#EXT-X-VERSION:{self.version}"]
        if not self.allow_cache:
            lines.append("#EXT-X-ALLOW-CACHE:NO")
        lines.append(f"#EXT-X-TARGETDURATION:{self.target_duration}")
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{self.media_sequence}")
        if self.discontinuity_sequence:
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.discontinuity_sequence}")
        if self.playlist_type and self.version >= 3:
            lines.append(f"#EXT-X-PLAYLIST-TYPE:{self.playlist_type}")
        if self.independent_segments:
            lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
        if self.start_offset is not None:
            lines.append(f"#EXT-X-START:TIME-OFFSET={self.start_offset:g}")
        return "\n".join([*lines, *self.tags, ""])

    @property
    def tail(self) -> str:
        """The lines behind the last segment."""
        return "#EXT-X-ENDLIST\n" if self.ended else ""

    @property
    def text(self) -> str:
        """The whole file."""
        return self.head + "".join(segment_texts(self.segments, self.version)) + self.tail


def segment_texts(segments: Iterable[Segment], version: int) -> Iterable[str]:
    """The lines of segments that follow each other, the first of them being the first of its list."""
    before: Segment | None = None
    for segment in segments:
        yield segment.text(before, version=version, dated=before is None)
        before = segment


@dataclass(frozen=True, slots=True)
class Variant:
    """One stream of a master playlist (EXT-X-STREAM-INF, §4.3.4.2). Rates are in bits a second; 0 and "" are left out."""

    uri: str
    bandwidth: int
    average_bandwidth: int = 0
    codecs: str = ""
    resolution: tuple[int, int] = (0, 0)
    frame_rate: Fraction | None = None

    @property
    def text(self) -> str:
        """The tag and the address."""
        width, height = self.resolution
        values = {
            "BANDWIDTH": str(self.bandwidth),
            "AVERAGE-BANDWIDTH": str(self.average_bandwidth) if self.average_bandwidth else None,
            "CODECS": quoted(self.codecs) if self.codecs else None,
            "RESOLUTION": f"{width}x{height}" if width and height else None,
            "FRAME-RATE": f"{float(self.frame_rate):.3f}" if self.frame_rate else None,
        }
        return f"#EXT-X-STREAM-INF:{attributes(values)}\n{self.uri}\n"


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """A master playlist (§4.3.4)."""

    version: int
    variants: tuple[Variant, ...] = ()

    @property
    def text(self) -> str:
        """The whole file."""
        return f"#EXTM3U\n#EXT-X-VERSION:{self.version}\n" + "".join(variant.text for variant in self.variants)


def quoted(value: str) -> str:
    """A quoted-string (§4.2); what it cannot contain is percent-encoded, as in an address."""
    return '"' + value.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A") + '"'


def attributes(values: Mapping[str, str | None]) -> str:
    """An attribute list (§4.2), without those that are None."""
    return ",".join(f"{name}={value}" for name, value in values.items() if value is not None)


def seconds(milliseconds: int) -> str:
    """Milliseconds as a decimal number of seconds with three places."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def rounded(milliseconds: int) -> int:
    """Whole seconds, by which EXT-X-TARGETDURATION is compared with EXTINF (§4.3.3.1)."""
    return (milliseconds + 500) // 1000


def read_media_playlist(content: bytes) -> MediaPlaylist:
    """Read a media playlist, its lines ending in LF or CR LF.

    Raises `MalformedData` when it is none, lacks what every one must have, or a tag that we know makes no sense.
    """
    if len(content) > MAX_PLAYLIST:
        raise MalformedData(f"a playlist of more than {MAX_PLAYLIST >> 20} MiB")
    try:
        lines = [line.strip() for line in content.decode("utf-8").split("\n")]
    except UnicodeDecodeError as error:
        raise MalformedData(f"a playlist that is not UTF-8: {error}") from None
    if not lines or lines[0] != "#EXTM3U":
        raise MalformedData("a playlist begins with #EXTM3U")
    reader = _Reader()
    for number, line in enumerate(lines[1:], 2):
        try:
            reader.line(line)
        except (ValueError, KeyError) as error:
            raise MalformedData(f"line {number} of the playlist, {line[:80]!r}: {error}") from None
    return reader.playlist()


class _Reader:
    """Takes the lines one by one."""

    def __init__(self) -> None:
        self._list: dict[str, Any] = {"version": 1, "media_sequence": 0}
        self._segments: list[Segment] = []
        self._next: dict[str, Any] = {}
        self._key: Key | None = None
        self._map_uri = ""

    def line(self, line: str) -> None:
        """Take one line. Raises ValueError or KeyError for what makes no sense."""
        if line.startswith("#EXT"):
            tag, _, value = line.partition(":")
            self._tag(tag, value)
        elif line and not line.startswith("#"):
            if "duration" not in self._next:
                raise ValueError("a segment without EXTINF")
            self._segments.append(Segment(uri=line, key=self._key, map_uri=self._map_uri, **self._next))
            self._next = {}

    def playlist(self) -> MediaPlaylist:
        """What has been read. Raises `MalformedData` when something is missing."""
        if "target_duration" not in self._list:
            raise MalformedData("a playlist without EXT-X-TARGETDURATION")
        return MediaPlaylist(segments=tuple(self._segments), **self._list)

    def _tag(self, tag: str, value: str) -> None:
        match tag:
            case "#EXT-X-VERSION":
                self._list["version"] = _count(value)
            case "#EXT-X-TARGETDURATION":
                self._list["target_duration"] = _count(value)
            case "#EXT-X-MEDIA-SEQUENCE":
                self._list["media_sequence"] = _count(value)
            case "#EXT-X-DISCONTINUITY-SEQUENCE":
                self._list["discontinuity_sequence"] = _count(value)
            case "#EXT-X-PLAYLIST-TYPE":
                self._list["playlist_type"] = value
            case "#EXT-X-ALLOW-CACHE":
                self._list["allow_cache"] = value != "NO"
            case "#EXT-X-INDEPENDENT-SEGMENTS":
                self._list["independent_segments"] = True
            case "#EXT-X-ENDLIST":
                self._list["ended"] = True
            case "#EXT-X-START":
                self._list["start_offset"] = float(read_attributes(value)["TIME-OFFSET"])
            case _:
                self._segment_tag(tag, value)

    def _segment_tag(self, tag: str, value: str) -> None:
        match tag:
            case "#EXTINF":
                self._next["duration"] = _milliseconds(value.partition(",")[0])
            case "#EXT-X-DISCONTINUITY":
                self._next["discontinuity"] = True
            case "#EXT-X-GAP":
                self._next["gap"] = True
            case "#EXT-X-PROGRAM-DATE-TIME":
                self._next["date"] = datetime.fromisoformat(value)
            case "#EXT-X-BYTERANGE":
                length, _, offset = value.partition("@")
                self._next["byte_range"] = ByteRange(_count(length), _count(offset))
            case "#EXT-X-MAP":
                self._map_uri = read_attributes(value)["URI"]
            case "#EXT-X-KEY":
                self._key = _read_key(read_attributes(value))


def read_attributes(text: str) -> dict[str, str]:
    """An attribute list (§4.2), the quotes taken away. Raises ValueError when it is none."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _ATTRIBUTE.match(text, position)
        if match is None:
            raise ValueError("no attribute list")
        found[match[1]] = match[2].strip('"')
        position = match.end()
    return found


def _read_key(values: Mapping[str, str]) -> Key | None:
    if values["METHOD"] == "NONE":
        return None
    iv = values.get("IV")
    return Key(
        values["METHOD"],
        values["URI"],
        bytes.fromhex(iv[2:]) if iv is not None else None,
        values.get("KEYFORMAT", ""),
        values.get("KEYFORMATVERSIONS", ""),
    )


def _count(text: str) -> int:
    """A decimal-integer (§4.2)."""
    if not re.fullmatch("[0-9]{1,20}", text, re.ASCII):
        raise ValueError("no decimal integer")
    return int(text)


def _milliseconds(text: str) -> int:
    """A decimal number of seconds."""
    if not re.fullmatch(r"[0-9]{1,10}(?:\.[0-9]{1,20})?", text, re.ASCII):
        raise ValueError("no decimal number of seconds")
    return round(Fraction(text) * 1000)
