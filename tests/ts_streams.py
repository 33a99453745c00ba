"""Tracks, frames and packets for tests of transport streams."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from ems.formats.mpegts.demux import TsDemuxer
from ems.formats.mpegts.events import Event, ProgramFound, Sample, TracksFound
from ems.formats.mpegts.mux import TsMuxer
from ems.formats.mpegts.packets import PacketWriter
from ems.formats.mpegts.psi import ProgramMap, Stream, write_pat, write_pmt
from ems.media import aac, h264, h265
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.h264 import AvcConfiguration
from ems.media.h265 import HevcConfiguration
from ems.media.nal import join_lengths
from ems.media.track import Codec, Kind, Track
from tests.unit.media import vectors

H264 = h264.make_track(1, vectors.AVCC_HIGH)
H265 = h265.make_track(1, vectors.HVCC_MAIN)
AAC = aac.make_track(2, bytes.fromhex("1190"))
AC3 = Track(2, Kind.AUDIO, Codec.AC3, sample_rate=44100)

SPS, PPS = AvcConfiguration.parse(H264.config).sps[0], AvcConfiguration.parse(H264.config).pps[0]
HEVC_SETS = tuple(part for kind in ("vps", "sps", "pps") for part in getattr(HevcConfiguration.parse(H265.config), kind))
AUD = b"\x09\xf0"
AAC_FRAME = 1024 * SECOND // 48000


def avc_slice(number: int, size: int = 1000, *, key: bool = False, first: bool = True) -> bytes:
    """A NAL unit that is a slice by its header: nothing in it looks like a start code."""
    return bytes((0x65 if key else 0x41, 0x88 if first else 0x48)) + f"<{number}>".encode().ljust(size - 2, b"x")


def picture(number: int, *, key: bool = False, size: int = 1000, track: Track = H264, shown_later: int = 0) -> Frame:
    """The `number`-th picture, 40 ms a picture; `shown_later` in pictures."""
    dts = number * 40 * MILLISECOND
    nal = avc_slice(number, size, key=key)
    if track.codec is Codec.H265:
        nal = (b"\x26\x01\xaf" if key else b"\x02\x01\xd0") + nal[3:]
    return Frame(track, dts, dts + shown_later * 40 * MILLISECOND, key, join_lengths([nal]))


def sound(number: int, size: int = 200, track: Track = AAC) -> Frame:
    """The `number`-th AAC frame of 48 kHz."""
    time = number * AAC_FRAME
    return Frame(track, time, time, True, f"({number})".encode().ljust(size, b"a"))


def broadcast(pictures: int = 25, size: int = 1000) -> list[Frame]:
    """Pictures and sound in the order of their times; each tenth picture is a key frame."""
    seen = [picture(number, key=number % 10 == 0, size=size) for number in range(pictures)]
    heard = [sound(number) for number in range(pictures * 40 * MILLISECOND // AAC_FRAME)]
    return sorted(seen + heard, key=lambda frame: frame.dts)


def muxed(frames: Iterable[Frame], tracks: Sequence[Track] = (H264, AAC), **options: int) -> bytes:
    """These frames as a transport stream with tables in front."""
    muxer = TsMuxer(tracks, **options)
    return muxer.psi() + b"".join([muxer.frame(frame) for frame in frames]) + muxer.flush()


def tables(*streams: Stream, version: int = 0, program: int = 1, pid: int = 0x1000) -> bytes:
    """A PAT and a PMT with these streams, the first of which has the PCR."""
    pat, pmt = write_pat({program: pid}), write_pmt(ProgramMap(program, streams[0].pid, streams), version=version)
    return PacketWriter(0).section(pat) + PacketWriter(pid).section(pmt)


def split(data: bytes) -> list[bytes]:
    """The packets of 188 bytes."""
    return [data[start : start + 188] for start in range(0, len(data), 188)]


def pid_of(packet: bytes) -> int:
    """The PID of a packet."""
    return int.from_bytes(packet[1:3], "big") & 0x1FFF


def demuxed(data: bytes, demuxer: TsDemuxer | None = None) -> list[Event]:
    """All events of a whole stream."""
    demuxer = demuxer or TsDemuxer()
    return demuxer.receive(data) + demuxer.flush()


def samples(events: Iterable[Event], kind: Kind | None = None) -> list[Sample]:
    """The samples among events, of one kind or all."""
    return [event for event in events if isinstance(event, Sample) and kind in (None, event.track.kind)]


def tracks(events: Iterable[Event]) -> list[tuple[Track, ...]]:
    """The tracks that were told, each time."""
    return [event.tracks for event in events if isinstance(event, TracksFound)]


def programs(events: Iterable[Event]) -> list[ProgramFound]:
    """The maps that were told."""
    return [event for event in events if isinstance(event, ProgramFound)]


def counted(packets: Iterable[bytes]) -> Iterator[bytes]:
    """The packets with continuity counters that are right for their PIDs."""
    counters: dict[int, count[int]] = {}
    for packet in packets:
        number = next(counters.setdefault(pid_of(packet), count()))
        yield packet[:3] + bytes((packet[3] & 0xF0 | number & 15,)) + packet[4:]
