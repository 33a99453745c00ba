"""FLV tags (Adobe FLV 10.1, Annex E.4): bodies of audio, video and data tags to tracks and frames, and back.

RTMP messages of types 8, 9 and 18 carry the same bodies. Enhanced tags are in `ems.formats.enhanced`; the widespread codec id
12 for HEVC is read too. Times of tags are milliseconds; here everything is nanoseconds.

Track ids: video track *n* of a tag is track *n*, audio track *n* is 256 + *n*, data is 512.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ems.errors import MalformedData
from ems.formats import enhanced
from ems.formats.enhanced import PacketType
from ems.media import aac, ac3, av1, flac, h264, h265, mp3, nal, opus, vpx
from ems.media.frame import MILLISECOND
from ems.media.track import Codec, Kind, Track

TAG_AUDIO = 8
TAG_VIDEO = 9
TAG_SCRIPT = 18

AUDIO_TRACK = 256
DATA_TRACK = 512

KEY_FRAME = 1
INTER_FRAME = 2
GENERATED_KEY_FRAME = 4
INFO_FRAME = 5

VIDEO_CODECS = {
    1: Codec.FLV_JPEG,
    2: Codec.FLV_SORENSON,
    3: Codec.FLV_SCREEN,
    4: Codec.FLV_VP6,
    5: Codec.FLV_VP6A,
    6: Codec.FLV_SCREEN2,
    7: Codec.H264,
    12: Codec.H265,
}
AUDIO_CODECS = {
    0: Codec.FLV_PCM_NATIVE,
    1: Codec.FLV_ADPCM,
    2: Codec.MP3,
    3: Codec.FLV_PCM_LE,
    4: Codec.FLV_NELLYMOSER,
    5: Codec.FLV_NELLYMOSER,
    6: Codec.FLV_NELLYMOSER,
    7: Codec.G711A,
    8: Codec.G711U,
    10: Codec.AAC,
    11: Codec.FLV_SPEEX,
    14: Codec.MP3,
    15: Codec.FLV_DEVICE,
}
_AAC = Codec.AAC
SAMPLE_RATES = (5512, 11025, 22050, 44100)
MP3_8K = 14
H264_ID = 7
AAC_ID = 10
ENHANCED_AUDIO_ID = 9

SEQUENCE_HEADER = 0
CODED = 1

LEGACY = frozenset((Codec.H264, Codec.AAC, Codec.MP3, Codec.G711A, Codec.G711U))
"""Codecs with a number of their own in FLV, which any player knows."""

NAL_CODECS = frozenset((Codec.H264, Codec.H265))

_MAKE_TRACK: dict[Codec, Callable[[int, bytes], Track]] = {
    Codec.H264: h264.make_track,
    Codec.H265: h265.make_track,
    Codec.AV1: av1.make_track,
    Codec.VP8: partial(vpx.make_track, codec=Codec.VP8),
    Codec.VP9: vpx.make_track,
    Codec.AAC: aac.make_track,
    Codec.OPUS: opus.make_track,
    Codec.FLAC: flac.make_track,
}
"""Tracks that are known by their configuration record."""

_FROM_FRAME: dict[Codec, Callable[[int, bytes], Track]] = {
    Codec.AC3: ac3.make_track,
    Codec.EAC3: ac3.make_track,
    Codec.MP3: mp3.make_track,
}
"""Tracks that are known by their first frame."""


class Sample(NamedTuple):
    """One access unit of a tag: its frame but for the clock. Offsets are nanoseconds from the tag's time."""

    track: Track
    keyframe: bool
    composition_offset: int
    data: bytes
    nanoseconds: int = 0


class TagReader:
    """Reads the tag bodies of one stream. `tracks` are those that are configured so far, in the order of their ids.

    Frames of a track that has not been configured for their codec, info frames and frames whose NAL unit lengths are not true
    are left out and counted in `skipped`.
    """

    MAX_TRACKS = 16
    """Of both kinds together; the format would allow 512."""

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {}
        self._length_sizes: dict[int, int] = {}
        self._records: dict[int, bytes] = {}
        self.tracks: tuple[Track, ...] = ()
        self.skipped = 0

    def length_size(self, track_id: int) -> int:
        """The size of the NAL unit lengths in a track's tags: 1, 2 or 4; 0 for a track that has no NAL units."""
        track = next((track for track in self.tracks if track.id == track_id), None)
        return self._length_sizes[track_id] if track and track.codec in NAL_CODECS else 0

    def video(self, body: bytes) -> list[Sample]:
        """The frames of a video tag. Raises `MalformedData` when a configuration record or a size in it is broken."""
        if not body:
            return []
        first = body[0]
        if first & enhanced.VIDEO_TAG:
            return self._enhanced(Kind.VIDEO, body, first >> 4 & 7)
        frame_type = first >> 4
        codec = VIDEO_CODECS.get(first & 15)
        if codec is None or frame_type == INFO_FRAME:
            self.skipped += 1
            return []
        keyframe = frame_type in (KEY_FRAME, GENERATED_KEY_FRAME)
        if codec not in NAL_CODECS:
            return [Sample(self._opaque(0, Kind.VIDEO, codec), keyframe, 0, body)]
        if len(body) < 5:
            return []
        if body[1] == CODED:
            offset = int.from_bytes(body[2:5], "big", signed=True) * MILLISECOND
            return self._coded(0, codec, keyframe, offset, body[5:])
        if body[1] == SEQUENCE_HEADER:
            self._configure(0, codec, body[5:])
        return []

    def audio(self, body: bytes) -> list[Sample]:
        """The frames of an audio tag. Raises `MalformedData` as `video` does."""
        if not body:
            return []
        first = body[0]
        format_id = first >> 4
        if format_id == ENHANCED_AUDIO_ID:
            return self._enhanced(Kind.AUDIO, body, KEY_FRAME)
        codec = AUDIO_CODECS.get(format_id)
        if codec is None:
            self.skipped += 1
            return []
        if codec is _AAC:
            if len(body) < 2:
                return []
            if body[1] == SEQUENCE_HEADER:
                self._configure(AUDIO_TRACK, codec, body[2:])
                return []
            return self._coded(AUDIO_TRACK, codec, True, 0, body[2:])
        if codec.opaque:
            return [Sample(self._opaque(AUDIO_TRACK, Kind.AUDIO, codec), True, 0, body)]
        if len(body) < 2:
            return []
        self._plain_audio(codec, first)
        return [Sample(self._tracks[AUDIO_TRACK], True, 0, body[1:])]

    def _enhanced(self, kind: Kind, body: bytes, frame_type: int) -> list[Sample]:
        samples: list[Sample] = []
        if kind is Kind.VIDEO and frame_type == INFO_FRAME:
            return samples
        keyframe = frame_type in (KEY_FRAME, GENERATED_KEY_FRAME)
        base = AUDIO_TRACK if kind is Kind.AUDIO else 0
        for packet in enhanced.parse(kind, body):
            codec = enhanced.CODEC.get(packet.fourcc)
            track_id = base + packet.track_id
            if codec is None or (codec in enhanced.VIDEO_CODECS) is not (kind is Kind.VIDEO):
                self.skipped += 1
            elif packet.type == PacketType.SEQUENCE_START:
                self._configure(track_id, codec, packet.body)
            elif packet.type in (PacketType.CODED_FRAMES, PacketType.CODED_FRAMES_X):
                offset, data = 0, packet.body
                if packet.type == PacketType.CODED_FRAMES and packet.fourcc in enhanced.COMPOSED:
                    offset, data = _signed24(data[:3]) * MILLISECOND, data[3:]
                track = self._tracks.get(track_id)
                if codec in _FROM_FRAME and data and (track is None or track.codec is not codec):
                    self._set(_FROM_FRAME[codec](track_id, data))
                samples += self._coded(track_id, codec, keyframe, offset, data, packet.nanoseconds)
        return samples

    def _coded(self, track_id: int, codec: Codec, keyframe: bool, offset: int, data: bytes, nanoseconds: int = 0) -> list[Sample]:
        track = self._tracks.get(track_id)
        if track is None or track.codec is not codec or not data:
            self.skipped += 1
            return []
        if codec in NAL_CODECS:
            data = self._four_byte_lengths(data, self._length_sizes[track_id])
            if not data:
                self.skipped += 1
                return []
        return [Sample(track, keyframe, offset, data, nanoseconds)]

    @staticmethod
    def _four_byte_lengths(data: bytes, length_size: int) -> bytes:
        """The access unit as `Frame.data` has it, empty when its lengths are not true."""
        if length_size == 4:
            return data if nal.lengths_are_true(data) else b""
        try:
            return nal.with_four_byte_lengths(data, length_size)
        except MalformedData:
            return b""

    def _configure(self, track_id: int, codec: Codec, record: bytes) -> None:
        """Take a configuration record; an empty one, which some encoders send at their end, changes nothing."""
        if not record or self._records.get(track_id) == record:
            return
        make_track = _MAKE_TRACK.get(codec)
        if make_track is None:
            return
        track = make_track(track_id, record)
        if codec is Codec.H264:
            self._length_sizes[track_id] = h264.AvcConfiguration.parse(record).length_size
        elif codec is Codec.H265:
            self._length_sizes[track_id] = h265.HevcConfiguration.parse(record).length_size
        self._set(track)
        self._records[track_id] = record

    def _opaque(self, track_id: int, kind: Kind, codec: Codec) -> Track:
        track = self._tracks.get(track_id)
        if track is None or track.codec is not codec:
            track = Track(track_id, kind, codec)
            self._set(track)
        return track

    def _plain_audio(self, codec: Codec, first: int) -> None:
        """The track of a codec whose tag header says all about it."""
        rate = 8000 if first >> 4 in (7, 8, MP3_8K) else SAMPLE_RATES[first >> 2 & 3]
        track = Track(AUDIO_TRACK, Kind.AUDIO, codec, sample_rate=rate, channels=(first & 1) + 1)
        if codec is Codec.MP3:
            track = Track(AUDIO_TRACK, Kind.AUDIO, codec, codec_string="mp4a.6B", sample_rate=rate, channels=track.channels)
        if self._tracks.get(AUDIO_TRACK) != track:
            self._set(track)

    def _set(self, track: Track) -> None:
        if track.id not in self._tracks and len(self._tracks) >= self.MAX_TRACKS:
            raise MalformedData(f"more than {self.MAX_TRACKS} tracks")
        self._records.pop(track.id, None)
        self._tracks[track.id] = track
        self.tracks = tuple(self._tracks[track_id] for track_id in sorted(self._tracks))


def fourcc_needed(track: Track) -> bytes | None:
    """The FourCC that a player must know for this track, None when any player knows the codec."""
    return None if track.codec in LEGACY or track.codec.opaque else enhanced.FOURCC[track.codec]


def sequence_header(track: Track, index: int = 0) -> bytes:
    """The tag body that configures a track, empty for codecs that need none; `index` is its number among those of its kind."""
    if not track.config or track.codec not in enhanced.FOURCC:
        return b""
    if index == 0 and track.codec is Codec.H264:
        return b"\x17\0\0\0\0" + track.config
    if index == 0 and track.codec is Codec.AAC:
        return b"\xaf\0" + track.config
    fourcc = enhanced.FOURCC[track.codec]
    return enhanced.header(track.kind, KEY_FRAME, PacketType.SEQUENCE_START, fourcc, index) + track.config


def frame_header(track: Track, keyframe: bool, composition_ms: int, index: int = 0) -> bytes:
    """What stands before a frame's data in its tag; nothing for opaque codecs, whose data is the whole body."""
    codec = track.codec
    if index == 0:
        if codec is Codec.H264:
            return (b"\x17\x01" if keyframe else b"\x27\x01") + _put_signed24(composition_ms)
        if codec is Codec.AAC:
            return b"\xaf\x01"
        if codec.opaque:
            return b""
        if codec in LEGACY:
            return bytes((_plain_audio_header(track),))
    fourcc = enhanced.FOURCC[codec]
    frame_type = KEY_FRAME if keyframe else INTER_FRAME
    if fourcc in enhanced.COMPOSED and composition_ms:
        head = enhanced.header(track.kind, frame_type, PacketType.CODED_FRAMES, fourcc, index)
        return head + _put_signed24(composition_ms)
    packet_type = PacketType.CODED_FRAMES_X if track.kind is Kind.VIDEO else PacketType.CODED_FRAMES
    if track.kind is Kind.VIDEO and fourcc not in enhanced.COMPOSED:
        packet_type = PacketType.CODED_FRAMES
    return enhanced.header(track.kind, frame_type, packet_type, fourcc, index)


def _plain_audio_header(track: Track) -> int:
    if track.codec is Codec.MP3:
        format_id = MP3_8K if track.sample_rate == 8000 else 2
    else:
        format_id = 7 if track.codec is Codec.G711A else 8
    rate = SAMPLE_RATES.index(track.sample_rate) if track.sample_rate in SAMPLE_RATES else 3 if format_id == 2 else 0
    return format_id << 4 | rate << 2 | 2 | (track.channels > 1)


def _signed24(data: bytes) -> int:
    if len(data) < 3:
        raise MalformedData("a composition time offset of less than 3 bytes")
    return int.from_bytes(data, "big", signed=True)


def _put_signed24(value: int) -> bytes:
    return max(-0x800000, min(value, 0x7FFFFF)).to_bytes(3, "big", signed=True)
