"""FLV files (Adobe FLV 10.1, Annex E): a header, then tags of sound, video and data, each behind the size of the one before it::

    "FLV" version:8 flags:8 data_offset:32  0:32  tag  size:32  tag  size:32 …
    tag: type:8 | size:24 | time:24 time_extended:8 (ms) | stream id:24 | body

There is no table of what is where, so the whole file is gone through. What the bodies say is told by `ems.formats.flv`; the usual
ones of H.264 and AAC are read here, in a few steps for each. A file whose recording was cut off ends with its last whole tag.

A sample's bytes are those behind the tag's headers, so that only NAL unit lengths remain to be made 4 bytes long; for opaque
codecs (`Codec.opaque`) the whole tag body. Left out are tags of several tracks at once, and what follows a change of a track's
configuration.
"""

from array import array
from dataclasses import dataclass, field
from struct import Struct

from ems.errors import MalformedData
from ems.formats import enhanced, flv
from ems.formats.enhanced import Packet, PacketType
from ems.formats.index import MAX_SAMPLES, MediaIndex, Read, TrackSamples
from ems.media.frame import MILLISECOND, SECOND
from ems.media.nal import MAX_ACCESS_UNIT
from ems.media.track import Kind, Track

SIGNATURE = b"FLV"

WINDOW = 1 << 16
"""Bytes that are read at once: some twenty tags of a usual film; more would read pictures that nobody looks at."""

MAX_TAGS = 4 * MAX_SAMPLES
"""Tags of a file; recordings of live streams have data tags, four to a picture at most, beside the samples."""

MAX_STEP_BACK = 5 * SECOND
"""A time so far before the newest one means that the clock was set anew, as where recordings were put behind each other."""

RESUME_STEP = 20 * MILLISECOND
"""How far behind the newest sample time goes on then: about one frame of audio or video."""

_FILE_HEADER = Struct(">3sBBI")
_TAG = Struct(">II3x")
"""Type and size in one number, time and its extension in another."""
_LINK_SIZE = 4
"""PreviousTagSize behind each tag."""

_VIDEO_HEAD, _AUDIO_HEAD = 5, 2
"""Bytes of a body before the data of H.264 and of AAC."""

_TAG_TYPE = 0x1F
_ENCRYPTED = 0x20
_AGGREGATE = 15
_OTHER_TYPES = frozenset((flv.TAG_SCRIPT, _AGGREGATE))
_CODED = (PacketType.CODED_FRAMES, PacketType.CODED_FRAMES_X)


def read_index(read: Read, size: int) -> MediaIndex:
    """The index of an FLV file of `size` bytes. It blocks as long as `read` does. Raises `MalformedData`."""
    header = read(0, _FILE_HEADER.size)
    if len(header) < _FILE_HEADER.size or not header.startswith(SIGNATURE):
        raise MalformedData("the file does not begin with an FLV header")
    data_offset = _FILE_HEADER.unpack(header)[3]
    if data_offset < _FILE_HEADER.size:
        raise MalformedData(f"the FLV header claims to have {data_offset} bytes, fewer than its own fields")
    reading = _Reading(read, size)
    try:
        reading.go_through(data_offset + _LINK_SIZE)
    except OverflowError:
        raise MalformedData("the clock was set anew so often that times need more than 63 bits") from None
    tracks = [found.samples() for _, found in sorted(reading.found.items())]
    return MediaIndex.of(tracks, size, reading.left_out)


@dataclass(slots=True)
class _Found:
    """The samples of a track so far; times are nanoseconds."""

    track: Track
    length_size: int
    changed: bool = False
    dts: "array[int]" = field(default_factory=lambda: array("q"))
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    keyframes: bytearray = field(default_factory=bytearray)
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))

    def add(self, dts: int, later: int, keyframe: bool, offset: int, size: int) -> None:
        """Add a sample that is shown `later` than it is decoded."""
        self.dts.append(dts)
        self.pts.append(dts + later)
        self.keyframes.append(keyframe)
        self.offsets.append(offset)
        self.sizes.append(size)

    def samples(self) -> TrackSamples:
        """The columns; the last sample lasts as long as the one before it."""
        step = self.dts[-1] - self.dts[-2] if len(self.dts) > 1 else 0
        end = max(self.pts[-2:], default=0) + step
        return TrackSamples(self.track, self.dts, self.pts, self.keyframes, self.offsets, self.sizes, end, self.length_size)


class _Reading:
    """A file on its way to an index. `found` are the tracks by id; of each kind of thing that is not read the first is told."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._tags = flv.TagReader()
        self._offset: int | None = None
        self._newest = 0
        self._samples = 0
        self.found: dict[int, _Found] = {}
        self._told: dict[str, str] = {}

    @property
    def left_out(self) -> list[str]:
        """What is not read, in words."""
        return list(self._told.values())

    def go_through(self, at: int) -> None:
        """Read the tags from this byte of the file on, up to the last whole one."""
        window, start = b"", 0
        for _ in range(MAX_TAGS):
            begin = at - start
            if begin + _TAG.size + _VIDEO_HEAD > len(window):
                window, start, begin = self._read(at, WINDOW), at, 0
            if len(window) - begin < _TAG.size:
                return
            type_and_size, time = _TAG.unpack_from(window, begin)
            tag_type, length = type_and_size >> 24, type_and_size & 0xFFFFFF
            body = at + _TAG.size
            end = body + length
            if end > self._size:
                self._tell("end", f"the file is cut off in the tag at byte {at}")
                return
            milliseconds = (time & 0xFF) << 24 | time >> 8
            head = window[begin + _TAG.size : begin + _TAG.size + min(length, _VIDEO_HEAD)]
            if tag_type == flv.TAG_VIDEO:
                self._video(head, body, end, milliseconds)
            elif tag_type == flv.TAG_AUDIO:
                self._audio(head, body, end, milliseconds)
            elif not self._may_pass(tag_type, at):
                return
            if self._samples > MAX_SAMPLES:
                raise MalformedData(f"the file has more than {MAX_SAMPLES} samples")
            at = end + _LINK_SIZE
        self._tell("end", f"it has more than {MAX_TAGS} tags")

    def _may_pass(self, tag_type: int, at: int) -> bool:
        """Whether a tag of this type, which has no samples, may stand at this byte."""
        if tag_type & _ENCRYPTED:
            self._tell("encrypted", f"encrypted tags, the first at byte {at}")
        elif tag_type & _TAG_TYPE not in _OTHER_TYPES:
            self._tell("end", f"what stands at byte {at} is no FLV tag; the rest is not read")
            return False
        return True

    def _video(self, head: bytes, body: int, end: int, milliseconds: int) -> None:
        if len(head) == _VIDEO_HEAD and head[0] < enhanced.VIDEO_TAG and flv.VIDEO_CODECS.get(head[0] & 15) in flv.NAL_CODECS:
            frame_type = head[0] >> 4
            if head[1] == flv.CODED and frame_type != flv.INFO_FRAME:
                keyframe = frame_type in (flv.KEY_FRAME, flv.GENERATED_KEY_FRAME)
                later = int.from_bytes(head[2:], "big", signed=True) * MILLISECOND
                self._add(0, milliseconds * MILLISECOND, later, keyframe, body + _VIDEO_HEAD, end)
                return
            if head[1] != flv.SEQUENCE_HEADER:
                return
        self._look_into(Kind.VIDEO, head, body, end, milliseconds)

    def _audio(self, head: bytes, body: int, end: int, milliseconds: int) -> None:
        if len(head) >= _AUDIO_HEAD and head[0] >> 4 == flv.AAC_ID and head[1] == flv.CODED:
            self._add(flv.AUDIO_TRACK, milliseconds * MILLISECOND, 0, True, body + _AUDIO_HEAD, end)
            return
        self._look_into(Kind.AUDIO, head, body, end, milliseconds)

    def _look_into(self, kind: Kind, head: bytes, body: int, end: int, milliseconds: int) -> None:
        """Read a tag whose whole body tells what it is."""
        if not head:
            return
        if end - body > MAX_ACCESS_UNIT:
            self._tell("large", f"tags of more than {MAX_ACCESS_UNIT} bytes, the first at byte {body}")
            return
        tag = self._read(body, end - body)
        time = milliseconds * MILLISECOND
        try:
            if head[0] & enhanced.VIDEO_TAG if kind is Kind.VIDEO else head[0] >> 4 == flv.ENHANCED_AUDIO_ID:
                self._enhanced(kind, tag, end, time)
                return
            for sample in self._configure(kind, tag):
                self._add(sample.track.id, time, 0, sample.keyframe, end - len(sample.data), end)
        except MalformedData as reason:
            self._tell(f"damaged {kind.value}", f"damaged {kind.value} tags, the first at byte {body}: {reason}")

    def _enhanced(self, kind: Kind, tag: bytes, end: int, time: int) -> None:
        packets = enhanced.parse(kind, tag)
        if len(packets) != 1:
            self._tell("many", f"tags of several tracks at once, the first ends at byte {end}")
            return
        packet = packets[0]
        frame_type = tag[0] >> 4 & 7
        if kind is Kind.VIDEO and frame_type == flv.INFO_FRAME:
            return
        if packet.type not in _CODED:
            self._configure(kind, tag)
            return
        number = packet.track_id + (flv.AUDIO_TRACK if kind is Kind.AUDIO else 0)
        if number not in self.found:
            self._configure(kind, tag)
        keyframe = kind is Kind.AUDIO or frame_type in (flv.KEY_FRAME, flv.GENERATED_KEY_FRAME)
        later, head = _composition(packet)
        self._add(number, time + packet.nanoseconds, later, keyframe, end - len(packet.body) + head, end)

    def _configure(self, kind: Kind, tag: bytes) -> list[flv.Sample]:
        """Let the tag tell about its track; the samples in it, for codecs that are told in each."""
        samples = self._tags.video(tag) if kind is Kind.VIDEO else self._tags.audio(tag)
        for track in self._tags.tracks:
            found = self.found.get(track.id)
            if found is None:
                self.found[track.id] = _Found(track, self._tags.length_size(track.id))
            elif (found.track.codec, found.track.config) != (track.codec, track.config) and not found.changed:
                found.changed = True
                self._tell(f"changed {track.id}", f"track {track.id}: what follows the change of its configuration")
        return samples

    def _add(self, number: int, time: int, later: int, keyframe: bool, offset: int, end: int) -> None:
        found = self.found.get(number)
        if found is None or found.changed or offset >= end:
            return
        self._samples += 1
        if self._offset is None:
            self._offset = -time
        time += self._offset
        if self._newest - time > MAX_STEP_BACK:
            self._offset += self._newest + RESUME_STEP - time
            time = self._newest + RESUME_STEP
        if found.dts and time < found.dts[-1]:
            time = found.dts[-1]
        self._newest = max(self._newest, time)
        found.add(time, later, keyframe, offset, end - offset)

    def _tell(self, what: str, words: str) -> None:
        self._told.setdefault(what, words)


def _composition(packet: Packet) -> tuple[int, int]:
    """By how much a coded frame is shown later than it is decoded (nanoseconds), and the bytes that tell it."""
    if packet.type != PacketType.CODED_FRAMES or packet.fourcc not in enhanced.COMPOSED:
        return 0, 0
    return int.from_bytes(packet.body[:3], "big", signed=True) * MILLISECOND, 3
