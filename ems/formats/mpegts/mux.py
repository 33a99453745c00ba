"""Frames to transport packets (ISO/IEC 13818-1): for UDP and TCP, for HLS segments, for recordings.

`TsMuxer` gives bytes, always whole packets, and keeps what must run on from one call to the next: the continuity counters. It
has no clock of its own: whoever sends calls `psi` at the start of a segment, or each half second of a stream that people tune
in to::

    muxer = TsMuxer(carried(stream.tracks))
    send(muxer.psi())
    send(muxer.frame(frame))

The times of a stream begin at 1.4 s (`TIME_OFFSET`), so that composition offsets never make one negative, and the clock
reference (PCR) runs 0.7 s behind decoding times (`CLOCK_LEAD`), which is how long a receiver buffers. It follows decoding times,
as these never go back. Each PES packet of the first video, or else of the first audio, carries one; where the video shows fewer
than ten pictures a second, packets with nothing but a PCR come between, as receivers want one each 100 ms (§2.7.2).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ems.errors import MalformedData
from ems.formats.mpegts import opus_layout, pes, psi
from ems.formats.mpegts.packets import CLOCK_RATE, RANDOM_ACCESS_FIELD, PacketWriter, Pid, StreamType, clock_field, to_ticks
from ems.formats.mpegts.payloads import Payload, payload_of
from ems.media.aac import AudioSpecificConfig, adts_header
from ems.media.frame import Frame
from ems.media.track import Codec, Kind, Track

PROGRAM = 1
"""Number of the only program."""

TIME_OFFSET = 126_000
"""Ticks of 90 kHz (1.4 s) that are added to presentation and decoding times."""

CLOCK_LEAD = 63_000
"""Ticks of 90 kHz (0.7 s) by which the PCR is behind the decoding time that it travels with."""

PCR_INTERVAL = CLOCK_RATE // 10
"""Ticks between two PCR, at most (§2.7.2)."""

INTERLEAVING = CLOCK_RATE // 20
"""Ticks by which another stream may be ahead of the one with the PCR before that one counts as slow."""

MAX_TRACKS = 32
"""Tracks of one program: with all their descriptors they fit into the 1021 bytes of a PMT."""

MAX_TIMED_METADATA = pes.MAX_LENGTH - 8
"""Bytes of one ID3 tag: only video may have a PES packet that does not tell its length."""

_AAC_FRAME_LENGTH = 1024
_MPEG1_AUDIO_RATES = 32000, 44100, 48000
_ID3 = b"\xff\xff" + b"ID3 " + b"\xff" + b"ID3 "
_LANGUAGE = psi.descriptor(psi.LANGUAGE, b"und\0")
_METADATA_STREAM = psi.Stream(Pid.METADATA, StreamType.METADATA, psi.descriptor(psi.METADATA, _ID3 + b"\0\x0f"))
_METADATA_POINTER = psi.descriptor(psi.METADATA_POINTER, _ID3 + b"\0\x1f" + PROGRAM.to_bytes(2, "big"))


@dataclass(frozen=True, slots=True)
class Encryption:
    """How the samples of a track are encrypted: what stands in the PMT, and what makes the samples.

    `stream_type` replaces the codec's own and `descriptors` come behind those that the track has anyway. `transform` is given
    the elementary-stream bytes of each access unit (an Annex B byte stream that begins with its delimiter, or an ADTS frame)
    and gives those that are sent.
    """

    stream_type: int
    descriptors: bytes
    transform: Callable[[bytes], bytes]


def carried(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """Those of the tracks that MPEG-TS has a standard way for, in their order but video first.

    H.264, H.265, AAC that ADTS can describe, MP3, AC-3, E-AC-3, and Opus of up to eight channels in the usual layouts.
    """
    fit = [track for track in tracks if _coding(track) is not None]
    fit.sort(key=lambda track: track.kind is not Kind.VIDEO)
    return tuple(fit[:MAX_TRACKS])


class TsMuxer:
    """Makes one program of `tracks`, which `carried` has chosen.

    `timed_metadata` adds a stream of ID3 tags, `encryption` tells by track id which tracks are encrypted, and `group_audio` is
    how many AAC frames at most share a PES packet: 1 is for the shortest delay; 5 save a fifth of the bytes of a soft stream, and
    then `flush` must be called at the end of a segment. Fewer are grouped where each 100 ms must bring a PCR.
    Raises `MalformedData` when a track cannot be carried.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        *,
        timed_metadata: bool = False,
        encryption: Mapping[int, Encryption] | None = None,
        group_audio: int = 1,
    ) -> None:
        self._timed_metadata = timed_metadata
        self._group_audio = group_audio
        self._writers: dict[int, PacketWriter] = {}
        self._tables = self._writer(Pid.PAT), self._writer(Pid.PMT)
        self._pat = psi.write_pat({PROGRAM: Pid.PMT})
        self._clocked: int | None = None
        self._version = 0
        self._use(tracks, encryption or {})

    def set_tracks(self, tracks: Sequence[Track], encryption: Mapping[int, Encryption] | None = None) -> bytes:
        """Go on with other tracks, or other configurations: gives what `flush` gives, and the new tables."""
        held = self.flush()
        self._version = self._version + 1 & 0x1F
        self._use(tracks, encryption or {})
        return held + self.psi()

    def psi(self) -> bytes:
        """PAT and PMT."""
        associations, program = self._tables
        return associations.section(self._pat) + program.section(self._pmt)

    def frame(self, frame: Frame) -> bytes:
        """All packets of an access unit; nothing when its track is not carried, or when it waits for others to share a packet.

        Raises `MalformedData`, and goes on as if the frame had not been, when the format cannot carry it: NAL units whose
        lengths lie, an AAC frame above 8184 bytes.
        """
        stream = self._streams.get(frame.track.id)
        if stream is None:
            return b""
        payload = stream.payload(frame)
        if stream.transform is not None:
            payload = stream.transform(payload)
        dts = to_ticks(frame.dts) + TIME_OFFSET
        if stream.group == 1:
            pts = to_ticks(frame.pts) + TIME_OFFSET if frame.pts > frame.dts else dts
            return self._unit(stream, payload, pts, dts, frame.keyframe)
        if not stream.held:
            stream.held_since = dts
        stream.held.append(payload)
        return self._release(stream) if len(stream.held) >= stream.group else b""

    def flush(self) -> bytes:
        """The packets of the audio that waits for more to share a packet with."""
        return b"".join([self._release(stream) for stream in self._streams.values() if stream.held])

    def id3(self, pts: int, data: bytes) -> bytes:
        """The packets of an ID3 tag that is due at `pts` (nanoseconds on the stream's clock): HLS timed metadata.

        Raises `MalformedData` when it is longer than `MAX_TIMED_METADATA` bytes.
        """
        if len(data) > MAX_TIMED_METADATA:
            raise MalformedData(f"an ID3 tag of {len(data)} bytes, where {MAX_TIMED_METADATA} are possible")
        ticks = to_ticks(pts) + TIME_OFFSET
        head = pes.write_header(pes.PRIVATE_STREAM_1, len(data), ticks, ticks, aligned=True)
        return self._writer(Pid.METADATA).unit(b"", head, data)

    def _use(self, tracks: Sequence[Track], encryption: Mapping[int, Encryption]) -> None:
        """Give each track a PID and a place in the PMT."""
        self._streams: dict[int, _Elementary] = {}
        listed: list[psi.Stream] = []
        for track, pid, index in _pids(tracks):
            stream = self._elementary(track, pid, index)
            secret = encryption.get(track.id)
            stream_type, descriptors = stream.coding.stream_type, stream.coding.descriptors
            if secret is not None:
                stream_type, descriptors = secret.stream_type, descriptors + secret.descriptors
                stream.transform = secret.transform
            self._streams[track.id] = stream
            listed.append(psi.Stream(pid, stream_type, descriptors))
        self._clock = next(iter(self._streams.values()), None)
        if self._clock is not None and self._clock.group > 1:
            rate = self._clock.sample_rate
            self._clock.group = max(1, min(self._group_audio, rate * PCR_INTERVAL // (_AAC_FRAME_LENGTH * CLOCK_RATE)))
        if self._timed_metadata:
            listed.append(_METADATA_STREAM)
        program = psi.ProgramMap(PROGRAM, self._clock.writer.pid if self._clock else Pid.NULL, tuple(listed))
        self._pmt = psi.write_pmt(program, descriptors=_METADATA_POINTER if self._timed_metadata else b"", version=self._version)

    def _elementary(self, track: Track, pid: int, index: int) -> "_Elementary":
        coding = _coding(track)
        if coding is None:
            raise MalformedData(f"MPEG-TS cannot carry {track.codec.value} of this configuration")
        number = index if coding.stream_id != pes.PRIVATE_STREAM_1 else 0
        group = self._group_audio if track.codec is Codec.AAC else 1
        return _Elementary(
            self._writer(pid),
            coding,
            coding.stream_id + number,
            payload_of(track),
            is_video=track.kind is Kind.VIDEO,
            sample_rate=track.sample_rate,
            group=group,
        )

    def _writer(self, pid: int) -> PacketWriter:
        """The writer of a PID: the same for ever, so that its counter runs on."""
        return self._writers.setdefault(pid, PacketWriter(pid))

    def _release(self, stream: "_Elementary") -> bytes:
        """The PES packet of the frames that have waited for each other."""
        payload = b"".join(stream.held)
        stream.held.clear()
        return self._unit(stream, payload, stream.held_since, stream.held_since, True)

    def _unit(self, stream: "_Elementary", payload: bytes, pts: int, dts: int, keyframe: bool) -> bytes:
        """A PES packet as packets, with the clock in it or before it."""
        head = pes.write_header(stream.stream_id, len(payload), pts, dts, aligned=True)
        if stream is not self._clock:
            field = RANDOM_ACCESS_FIELD if keyframe and stream.is_video else b""
            return self._overdue_clock(dts) + stream.writer.unit(field, head, payload)
        if self._clocked is None or dts >= self._clocked:
            self._clocked = dts
            field = clock_field(dts - CLOCK_LEAD, keyframe)
        else:  # other streams were so far ahead that the clock has gone on without this one
            field = RANDOM_ACCESS_FIELD if keyframe else b""
        return stream.writer.unit(field, head, payload)

    def _overdue_clock(self, dts: int) -> bytes:
        """A packet with a PCR when another stream has got to `dts` and the one with the PCR is slow or silent, else nothing."""
        if self._clock is None:
            return b""
        behind = dts - INTERLEAVING
        if self._clocked is None:
            self._clocked = behind
        elif behind - self._clocked > PCR_INTERVAL:
            self._clocked = max(self._clocked + PCR_INTERVAL, behind - PCR_INTERVAL)
        else:
            return b""
        return self._clock.writer.clock(self._clocked - CLOCK_LEAD)


@dataclass(frozen=True, slots=True)
class _Coding:
    """How a codec is announced: stream_type and descriptors in the PMT, stream_id in the PES header."""

    stream_type: int
    stream_id: int
    descriptors: bytes = b""


@dataclass(slots=True)
class _Elementary:
    """A track on its way: what makes its payloads, how many of them share a packet, and those that wait for that."""

    writer: PacketWriter
    coding: _Coding
    stream_id: int
    payload: Payload
    is_video: bool
    sample_rate: int
    group: int
    transform: Callable[[bytes], bytes] | None = None
    held: list[bytes] = field(default_factory=list)
    held_since: int = 0


def _pids(tracks: Sequence[Track]) -> list[tuple[Track, int, int]]:
    """Each track with its PID and its number among those of its kind; the first of each kind have the usual PIDs."""
    counts = {Kind.VIDEO: 0, Kind.AUDIO: 0}
    further = int(Pid.FURTHER)
    placed = []
    for track in tracks:
        index = counts[track.kind]
        counts[track.kind] += 1
        pid = int(Pid.VIDEO if track.kind is Kind.VIDEO else Pid.AUDIO)
        if index:
            pid, further = further, further + 1
        placed.append((track, pid, index))
    return placed


def _coding(track: Track) -> _Coding | None:
    """How a track is announced, or None when it cannot be carried."""
    try:
        payload_of(track)
        coding = _CODINGS.get(track.codec)
        if track.codec is Codec.AAC:
            return coding if _fits_adts(AudioSpecificConfig.parse(track.config)) else None
        if track.codec is Codec.MP3 and track.sample_rate and track.sample_rate not in _MPEG1_AUDIO_RATES:
            return _Coding(StreamType.MPEG2_AUDIO, pes.AUDIO_STREAM, _LANGUAGE)
        return _opus_coding(track) if track.codec is Codec.OPUS else coding
    except MalformedData:
        return None


def _fits_adts(config: AudioSpecificConfig) -> bool:
    """False for what an ADTS header cannot say: other frame lengths than 1024, layouts that only a configuration tells."""
    adts_header(config, 0)
    return config.frame_length == _AAC_FRAME_LENGTH and config.channel_configuration != 0


def _opus_coding(track: Track) -> _Coding | None:
    code = opus_layout.channel_config_code(track.config)
    if code is None:
        return None
    extension = psi.descriptor(psi.EXTENSION, bytes((psi.OPUS_EXTENSION, code)))
    registration = psi.descriptor(psi.REGISTRATION, b"Opus")
    return _Coding(StreamType.PRIVATE_PES, pes.PRIVATE_STREAM_1, _LANGUAGE + registration + extension)


_CODINGS = {
    Codec.H264: _Coding(StreamType.H264, pes.VIDEO_STREAM),
    Codec.H265: _Coding(StreamType.H265, pes.VIDEO_STREAM),
    Codec.AAC: _Coding(StreamType.AAC_ADTS, pes.AUDIO_STREAM, _LANGUAGE),
    Codec.MP3: _Coding(StreamType.MPEG1_AUDIO, pes.AUDIO_STREAM, _LANGUAGE),
    Codec.AC3: _Coding(StreamType.AC3, pes.PRIVATE_STREAM_1, _LANGUAGE + psi.descriptor(psi.REGISTRATION, b"AC-3")),
    Codec.EAC3: _Coding(StreamType.EAC3, pes.PRIVATE_STREAM_1, _LANGUAGE + psi.descriptor(psi.REGISTRATION, b"EAC3")),
}
