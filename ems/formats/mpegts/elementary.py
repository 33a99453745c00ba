"""The elementary streams that a demultiplexer reads: what reads each type, and the PES packet that is being collected."""

from ems.errors import MalformedData
from ems.formats.mpegts import framings, pes, psi
from ems.formats.mpegts.latm import Loas
from ems.formats.mpegts.nal_rules import AVC, HEVC
from ems.formats.mpegts.packets import StreamType
from ems.formats.mpegts.pictures import PictureReader, UnitReader
from ems.formats.mpegts.sounds import MetadataReader, SoundReader

NOTHING = -100
"""Stands for a byte, a counter or a PID that there is not."""


class ElementaryStream:
    """A stream that is read, and the PES packet of it that is being collected.

    `expected` is the fourth byte of the packet that would go on with it, `NOTHING` while none has begun; `size` is how long it
    says to be in bytes, 0 when it does not say, None while that has not come. `counter` is what the next packet must have when
    none has begun, `NOTHING` when anything will do.
    """

    __slots__ = ("_counted", "_length", "counter", "expected", "listed", "parts", "pid", "reader", "size")

    def __init__(self, listed: psi.Stream, reader: UnitReader) -> None:
        self.listed = listed
        self.pid = listed.pid
        self.reader = reader
        self.parts: list[bytes] = []
        self.expected = NOTHING
        self.counter = NOTHING
        self.size: int | None = None
        self._counted = self._length = 0

    def length(self) -> int:
        """Bytes that have been collected. Each part is counted once, however often this is asked."""
        self._length += sum(map(len, self.parts[self._counted :]))
        self._counted = len(self.parts)
        return self._length

    def drop(self) -> None:
        """Forget what has been collected."""
        if self.expected != NOTHING:
            self.counter = self.expected & 15
            self.expected = NOTHING
        self.parts.clear()
        self._counted = self._length = 0

    def lose(self) -> None:
        """Something is missing: what has been collected is worth nothing."""
        self.drop()
        self.reader.lose()


def pes_size(parts: list[bytes]) -> int | None:
    """How long the PES packet that begins so says to be: 0 when it does not, None when that has not come."""
    head = parts[0] if len(parts[0]) >= pes.FIXED_SIZE else b"".join(parts)
    if len(head) < pes.FIXED_SIZE:
        return None
    length = int.from_bytes(head[4:6], "big")
    return pes.FIXED_SIZE + length if length else 0


def begin(listed: psi.Stream) -> ElementaryStream | None:
    """A stream of a PMT, when there is a reader for it."""
    try:
        reader = _reader(listed)
    except MalformedData:
        return None
    return ElementaryStream(listed, reader) if reader is not None else None


def _reader(listed: psi.Stream) -> UnitReader | None:
    """What reads a stream of this type, or None. Raises `MalformedData` when its descriptors make no sense."""
    pid = listed.pid
    match listed.stream_type:
        case StreamType.H264:
            return PictureReader(pid, AVC)
        case StreamType.H265:
            return PictureReader(pid, HEVC)
        case StreamType.AAC_ADTS:
            return SoundReader(framings.Adts(pid))
        case StreamType.AAC_LATM:
            return SoundReader(Loas(pid))
        case StreamType.MPEG1_AUDIO | StreamType.MPEG2_AUDIO:
            return SoundReader(framings.MpegAudio(pid))
        case StreamType.AC3 | StreamType.EAC3:
            return SoundReader(framings.Ac3(pid))
        case StreamType.METADATA:
            return MetadataReader(pid)
        case StreamType.PRIVATE_PES:
            return _private_reader(listed)
    return None


def _private_reader(listed: psi.Stream) -> UnitReader | None:
    """What reads private data (stream_type 6), which only its descriptors tell."""
    extension = listed.descriptor(psi.EXTENSION) or b""
    if listed.registration == b"Opus" and len(extension) >= 2 and extension[0] == psi.OPUS_EXTENSION:
        return SoundReader(framings.Opus(listed.pid, extension[1]))
    is_ac3 = listed.registration in (b"AC-3", b"EAC3")
    if is_ac3 or listed.descriptor(psi.DVB_AC3) is not None or listed.descriptor(psi.DVB_EAC3) is not None:
        return SoundReader(framings.Ac3(listed.pid))
    return PictureReader(listed.pid, HEVC) if listed.registration == b"HEVC" else None
