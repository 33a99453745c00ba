"""Sound that needs little or no packing: G.711 (RFC 3551 §4.5.14), Opus (RFC 7587), MP3 (RFC 2250 §3.5), AC-3 and E-AC-3
(RFC 4184, RFC 4598).

G.711 and Opus are their own payload. MP3 has two bytes of nothing and two that say where in a frame a fragment belongs; AC-3 has
two that say whether these are frames or a fragment of one. All of them may have several frames in a packet, but for Opus.
"""

from collections.abc import Callable

from ems.errors import MalformedData
from ems.formats.rtp.fragments import Fragments
from ems.formats.rtp.packet import RtpPacket, build
from ems.formats.rtp.payload import VIDEO_CLOCK, AccessUnit, Depacketiser, Packetiser, Sending
from ems.media import ac3, mp3, opus
from ems.media.frame import Frame
from ems.media.track import Codec, Kind, Track

G711_RATE = 8000
"""Hz of G.711 where nothing else is said: that of its static payload types."""

OPUS_RTP_CHANNELS = 2
"""Channels that RTP carries of Opus, and what decoders give (RFC 7587 §7)."""

MAX_SOUND_FRAME = 65_535
"""Bytes of a frame that is sent in fragments: E-AC-3 has 4096, MP3 less."""

_MP3_HEADER = 4
_AC3_HEADER = 2
_HEAD_SIZE = 16


class G711Packetiser(Packetiser):
    """A-law and µ-law: a frame in as many packets as it takes, each with the time of its first sample."""

    def __init__(self, track: Track, sending: Sending) -> None:
        super().__init__(track.sample_rate or G711_RATE, sending)
        self._channels = track.channels or 1

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        channels = self._channels
        step = self.max_payload // channels * channels
        return [
            build(
                self.payload_type,
                self.sequence + number,
                timestamp + start // channels,
                self.ssrc,
                frame.data[start : start + step],
            )
            for number, start in enumerate(range(0, len(frame.data), step))
        ]


class OpusPacketiser(Packetiser):
    """A packet of Opus is a payload. Raises `MalformedData` for more than two channels, of which RFC 7587 knows nothing."""

    def __init__(self, track: Track, sending: Sending) -> None:
        if track.channels > OPUS_RTP_CHANNELS:
            raise MalformedData(f"Opus with {track.channels} channels in RTP")
        super().__init__(opus.SAMPLE_RATE, sending)

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        return self._numbered([frame.data], timestamp, marked=False)


class Mp3Packetiser(Packetiser):
    """A frame in a packet, or in several that tell their offsets."""

    def __init__(self, track: Track, sending: Sending) -> None:
        super().__init__(VIDEO_CLOCK, sending)

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        data, step = frame.data, self.max_payload - _MP3_HEADER
        pieces = [start.to_bytes(_MP3_HEADER, "big") + data[start : start + step] for start in range(0, len(data), step)]
        return self._numbered(pieces, timestamp, marked=False)


class Ac3Packetiser(Packetiser):
    """A frame of AC-3 or E-AC-3 in a packet, or in several that tell how many they are."""

    def __init__(self, track: Track, sending: Sending) -> None:
        if not track.sample_rate:
            raise MalformedData("AC-3 without a sample rate has no clock")
        super().__init__(track.sample_rate, sending)
        self._enhanced = track.codec is Codec.EAC3

    def _packets(self, frame: Frame, timestamp: int) -> list[bytes]:
        data, step = frame.data, self.max_payload - _AC3_HEADER
        starts = range(0, len(data), step)
        if len(starts) == 1:
            return self._numbered([b"\0\1" + data], timestamp)
        if len(starts) > 255:
            self.left_out += 1
            return []
        kinds = [1 if self._enhanced else 3] * len(starts)
        if not self._enhanced:
            # The first fragment of AC-3 tells whether it has 5/8 of the frame, with which a decoder may begin.
            kinds[:1] = [1 if 8 * step >= 5 * len(data) else 2]
        pieces = [bytes((kind, len(starts))) + data[start : start + step] for kind, start in zip(kinds, starts, strict=True)]
        return self._numbered(pieces, timestamp)


class PlainDepacketiser(Depacketiser):
    """Payloads that are access units: G.711 and Opus."""

    track: Track

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        if packet.payload:
            found.append(AccessUnit(packet.timestamp, packet.payload, True, self.track))


def g711_track(track_id: int, codec: Codec, sample_rate: int = G711_RATE, channels: int = 1) -> Track:
    """A track of `Codec.G711A` or `Codec.G711U`."""
    return Track(track_id, Kind.AUDIO, codec, sample_rate=sample_rate, channels=channels)


def opus_track(track_id: int) -> Track:
    """The track of Opus in RTP. It begins with its first sample: nothing is to be skipped."""
    return opus.make_track(track_id, bytes(opus.OpusHead(OPUS_RTP_CHANNELS, pre_skip=0)))


class FrameDepacketiser(Depacketiser):
    """Payloads with whole frames one behind the other, or with a fragment of one; frames tell their own sizes.

    `head` gives size and samples of the frame that begins some bytes, `make_track` the track that it describes.
    """

    def __init__(
        self,
        track_id: int,
        clock_rate: int,
        head: Callable[[bytes], tuple[int, int, int]],
        make_track: Callable[[int, bytes], Track],
    ) -> None:
        super().__init__(clock_rate)
        self._track_id = track_id
        self._head = head
        self._make_track = make_track
        self._fragments = Fragments(MAX_SOUND_FRAME)
        self._time = 0

    def _drop(self) -> None:
        if self._fragments:
            self.dropped += 1
        self._fragments.clear()

    def _frames(self, timestamp: int, data: bytes, found: list[AccessUnit]) -> None:
        """All frames in `data`, the first of which has this time."""
        at = passed = 0
        while at < len(data):
            size, samples, rate = self._head(data[at : at + _HEAD_SIZE])
            if not 0 < size <= len(data) - at:
                raise MalformedData(f"a frame of {size} bytes where {len(data) - at} are left")
            time = timestamp + passed * self.clock_rate // rate & 0xFFFFFFFF
            frame = data[at : at + size]
            found.append(AccessUnit(time, frame, True, self._track_of(frame)))
            at += size
            passed += samples

    def _track_of(self, frame: bytes) -> Track:
        track = self._make_track(self._track_id, frame)
        if self.track is None or (track != self.track):
            self.track = track
        return self.track


class Mp3Depacketiser(FrameDepacketiser):
    """MPEG audio behind MBZ:16 and Frag_offset:16."""

    def __init__(self, track_id: int, clock_rate: int = VIDEO_CLOCK) -> None:
        super().__init__(track_id, clock_rate, _mp3_head, mp3.make_track)
        self._awaited = 0

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        payload = packet.payload
        if len(payload) <= _MP3_HEADER:
            raise MalformedData("an MPEG audio payload without audio")
        offset, data = int.from_bytes(payload[2:_MP3_HEADER], "big"), payload[_MP3_HEADER:]
        if offset:
            if offset != self._fragments.size or packet.timestamp != self._time:
                raise MalformedData(f"a fragment at {offset} where {self._fragments.size} bytes have come")
        else:
            self._drop()
            self._time, self._awaited = packet.timestamp, _mp3_head(data)[0]
        self._fragments.add(data)
        if self._fragments.size >= self._awaited:
            self._frames(self._time, self._fragments.take(), found)


class Ac3Depacketiser(FrameDepacketiser):
    """AC-3 and E-AC-3 behind FT:2 or F:1 and NF:8; the last fragment has the marker."""

    def __init__(self, track_id: int, clock_rate: int, codec: Codec) -> None:
        super().__init__(track_id, clock_rate, _ac3_head, ac3.make_track)
        self._fragmented = 1 if codec is Codec.EAC3 else 3

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        payload = packet.payload
        if len(payload) <= _AC3_HEADER:
            raise MalformedData("an AC-3 payload without sound")
        data = payload[_AC3_HEADER:]
        if self._fragments and packet.timestamp != self._time:
            self._drop()
        if not payload[0] & self._fragmented:
            self._drop()
            self._frames(packet.timestamp, data, found)
            return
        if not self._fragments:
            _ac3_head(data)  # a fragment that begins nothing is of no use
        self._time = packet.timestamp
        self._fragments.add(data)
        if packet.marker:
            self._frames(self._time, self._fragments.take(), found)


def _mp3_head(data: bytes) -> tuple[int, int, int]:
    """Bytes, samples and sample rate of an MPEG audio frame."""
    header = mp3.parse_frame_header(data)
    return header.frame_size, header.samples, header.sample_rate


def _ac3_head(data: bytes) -> tuple[int, int, int]:
    """Bytes, samples and sample rate of an AC-3 frame."""
    frame = ac3.parse_sync_frame(data)
    return frame.frame_size, frame.samples, frame.sample_rate
