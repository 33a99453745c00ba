"""Sample entries as they are read (ISO/IEC 14496-12 §8.5.2): which codec a track has, and with what configuration.

`ems.formats.fmp4.sample_entry` writes them and has the table of standards. Read are besides: ``avc3`` and ``hev1``, whose
parameter sets may be in the key frames alone; QuickTime's entries of sound, which are longer and keep their ``esds`` in a
``wave`` box; and its own name for MP3.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from struct import Struct

from ems.errors import MalformedData
from ems.formats.mp4.boxes import Box
from ems.media import aac, ac3, av1, flac, h264, h265, mp3, nal, opus, vpx
from ems.media.opus import OpusHead
from ems.media.track import Codec, Kind, Track

MAX_DESCRIPTORS = 16
"""Descriptors that are looked at on the way to the AudioSpecificConfig, which is the third."""

_COUNT = Struct(">4xI")
_ENTRIES = 8
_PICTURE_SIZE = Struct(">24xHH")
_SOUND_VERSION = Struct(">8xH")
_OPUS = Struct(">BBHIhB")

_VISUAL_SIZE = 78
_SOUND_SIZES = {0: 28, 1: 44, 2: 64}
"""Bytes of an entry of sound before its boxes, by QuickTime's version (QTFF, "Sound Sample Descriptions"); ISO's is 0."""

_ES_DESCRIPTOR, _DECODER_CONFIG, _DECODER_SPECIFIC = 3, 4, 5
_DECODER_CONFIG_SIZE = 13
_STREAM_DEPENDENCE, _URL, _OCR_STREAM = 0x80, 0x40, 0x20
_AAC_OBJECTS = frozenset((0x40, 0x66, 0x67, 0x68))
_MP3_OBJECTS = frozenset((0x69, 0x6B))

MakeTrack = Callable[[int, bytes], Track]
"""``make_track(track_id, bytes)``, by a configuration record or by the first frame."""


class NotRead(Exception):
    """The track is of a kind or a codec that is left out; the text says which."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A sample entry. `length_size` is the size of NAL unit lengths in the samples, 0 for codecs that have none; `width` and
    `height` are in pixels. `config` is the configuration record, empty for codecs that are known by their first frame.
    """

    codec: Codec
    make: MakeTrack
    config: bytes = b""
    length_size: int = 0
    width: int = 0
    height: int = 0

    def track(self, track_id: int, first_frame: Callable[[], bytes]) -> Track:
        """The track; `first_frame` reads the first key frame's bytes, for what only it tells. Raises `MalformedData`."""
        track = self.make(track_id, self.config or first_frame())
        if self.length_size and not track.width:
            track = self.make(track_id, self._with_parameter_sets(first_frame()))
        return track if track.width or not self.width else replace(track, width=self.width, height=self.height)

    def _with_parameter_sets(self, key_frame: bytes) -> bytes:
        """The configuration record with the parameter sets of a key frame."""
        nals = nal.split_lengths(key_frame, self.length_size)
        if self.codec is Codec.H264:
            sps, pps = (_of_type(nals, h264.nal_type, wanted) for wanted in (h264.NalType.SPS, h264.NalType.PPS))
            return bytes(h264.make_configuration(sps, pps))
        kinds = (h265.NalType.VPS, h265.NalType.SPS, h265.NalType.PPS)
        return bytes(h265.make_configuration(*(_of_type(nals, h265.nal_type, wanted) for wanted in kinds)))


def read_entry(stsd: Box, number: int) -> Entry:
    """The sample entry of this number, from 1 on. Raises `NotRead` for a codec that is left out or whose configuration is not
    right, and `MalformedData` when there is no such entry."""
    count = stsd.unpack(_COUNT)[0]
    entries = list(stsd.children(_ENTRIES))
    if not 1 <= number <= min(count, len(entries)):
        raise MalformedData(f"{stsd} has {len(entries)} sample entries, the samples ask for entry {number}")
    box = entries[number - 1]
    read = _READERS.get(box.type)
    if read is None:
        raise NotRead(f"sample entry {box.type.decode('latin-1')!r} is not read")
    try:
        return read(box)
    except MalformedData as reason:
        raise NotRead(str(reason)) from reason


def kind_of(handler: bytes) -> Kind:
    """What a track with this handler_type (§8.4.3) carries. Raises `NotRead` for all but video and sound."""
    if handler == b"vide":
        return Kind.VIDEO
    if handler == b"soun":
        return Kind.AUDIO
    raise NotRead(f"handler {handler.decode('latin-1')!r} is neither video nor sound")


def _of_type(nals: list[bytes], type_of: Callable[[bytes], int], wanted: int) -> list[bytes]:
    return [unit for unit in nals if type_of(unit) == wanted]


def _config(entry: Box, before: int, box_type: bytes) -> Box:
    """A box in an entry whose own fields take `before` bytes."""
    found = next((box for box in entry.children(before) if box.type == box_type), None)
    if found is None:
        raise MalformedData(f"no {box_type.decode()} in {entry}")
    return found


def _avc(entry: Box) -> Entry:
    config = bytes(_config(entry, _VISUAL_SIZE, b"avcC").content)
    return Entry(Codec.H264, h264.make_track, config, h264.AvcConfiguration.parse(config).length_size, *_picture(entry))


def _hevc(entry: Box) -> Entry:
    config = bytes(_config(entry, _VISUAL_SIZE, b"hvcC").content)
    return Entry(Codec.H265, h265.make_track, config, h265.HevcConfiguration.parse(config).length_size, *_picture(entry))


def _av1(entry: Box) -> Entry:
    return Entry(Codec.AV1, av1.make_track, bytes(_config(entry, _VISUAL_SIZE, b"av1C").content), 0, *_picture(entry))


def _vpx(codec: Codec, entry: Box) -> Entry:
    config = bytes(_config(entry, _VISUAL_SIZE, b"vpcC").content)
    return Entry(codec, partial(vpx.make_track, codec=codec), config, 0, *_picture(entry))


def _picture(entry: Box) -> tuple[int, int]:
    width, height = entry.unpack(_PICTURE_SIZE)
    return width, height


def _sound_size(entry: Box) -> int:
    version = entry.unpack(_SOUND_VERSION)[0]
    return _SOUND_SIZES.get(version, _SOUND_SIZES[0])


def _mp4a(entry: Box) -> Entry:
    """AAC and MP3, which an object type in ``esds`` tells apart."""
    boxes = {box.type: box for box in entry.children(_sound_size(entry))}
    esds = boxes.get(b"esds") or (boxes[b"wave"].need(b"esds") if b"wave" in boxes else None)
    if esds is None:
        raise MalformedData(f"no esds in {entry}")
    object_type, specific = _decoder_config(esds)
    if object_type in _MP3_OBJECTS:
        return _MP3
    if object_type not in _AAC_OBJECTS:
        raise NotRead(f"mp4a of object type {object_type:#04x} is not read")
    if not specific:
        raise MalformedData(f"no AudioSpecificConfig in {esds}")
    return Entry(Codec.AAC, aac.make_track, specific)


def _decoder_config(esds: Box) -> tuple[int, bytes]:
    """objectTypeIndication, and the DecoderSpecificInfo, which may be empty (ISO/IEC 14496-1 §7.2.6)."""
    data = bytes(esds.content[4:])
    at, end, object_type = 0, len(data), 0
    for _ in range(MAX_DESCRIPTORS):
        if at >= end:
            break
        tag = data[at]
        size, content = _descriptor_size(data, at + 1)
        if tag == _DECODER_SPECIFIC and object_type:
            return object_type, data[content : content + size]
        if tag == _ES_DESCRIPTOR:
            at = _behind_es_fields(data, content)
        elif tag == _DECODER_CONFIG and content < end:
            object_type, at = data[content], content + _DECODER_CONFIG_SIZE
        else:
            at = content + size
    if not object_type:
        raise MalformedData(f"no DecoderConfigDescriptor in {esds}")
    return object_type, b""


def _descriptor_size(data: bytes, at: int) -> tuple[int, int]:
    """A size in up to four groups of 7 bits (ISO/IEC 14496-1 §8.3.3), and where the content begins."""
    size = 0
    for byte in data[at : at + 4]:
        at += 1
        size = size << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return size, at


def _behind_es_fields(data: bytes, at: int) -> int:
    """Where the descriptors in an ES_Descriptor begin: behind ES_ID, flags and what these announce."""
    flags = data[at + 2] if at + 2 < len(data) else 0
    at += 3
    if flags & _STREAM_DEPENDENCE:
        at += 2
    if flags & _URL:
        at += 1 + (data[at] if at < len(data) else 0)
    return at + 2 if flags & _OCR_STREAM else at


def _opus(entry: Box) -> Entry:
    """OpusSpecificBox has the fields of OpusHead, but big-endian."""
    box = _config(entry, _sound_size(entry), b"dOps")
    _, channels, pre_skip, rate, gain, family = box.unpack(_OPUS)
    tail = bytes(box.content[_OPUS.size :])
    if family == 0:
        return Entry(Codec.OPUS, opus.make_track, bytes(OpusHead(channels, pre_skip, rate, gain)))
    if len(tail) < 2 + channels:
        raise MalformedData(f"{box} has no mapping of its {channels} channels")
    head = OpusHead(channels, pre_skip, rate, gain, family, tail[0], tail[1], tail[2 : 2 + channels])
    return Entry(Codec.OPUS, opus.make_track, bytes(head))


def _flac(entry: Box) -> Entry:
    box = _config(entry, _sound_size(entry), b"dfLa")
    return Entry(Codec.FLAC, flac.make_track, bytes(box.content[4:]))


_MP3 = Entry(Codec.MP3, mp3.make_track)
_READERS: dict[bytes, Callable[[Box], Entry]] = {
    b"avc1": _avc,
    b"avc3": _avc,
    b"hvc1": _hevc,
    b"hev1": _hevc,
    b"av01": _av1,
    b"vp08": partial(_vpx, Codec.VP8),
    b"vp09": partial(_vpx, Codec.VP9),
    b"mp4a": _mp4a,
    b".mp3": lambda _: _MP3,
    b"Opus": _opus,
    b"fLaC": _flac,
    b"ac-3": lambda _: Entry(Codec.AC3, ac3.make_track),
    b"ec-3": lambda _: Entry(Codec.EAC3, ac3.make_track),
}
