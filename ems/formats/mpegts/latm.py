"""AAC in LATM and LOAS (ISO/IEC 14496-3 §1.7): what European broadcasters send where others send ADTS.

LOAS finds frames by a sync word of 11 bits and a length of 13. In each is an AudioMuxElement: first, unless it says that nothing
has changed, a StreamMuxConfig with the AudioSpecificConfig; then the size of the access unit in bytes of 255 and one less; then
the access unit, which begins at any bit.

What broadcasters send is read: one program with one layer. Several are refused, and so are configurations that ADTS could not
have either.
"""

from ems.errors import MalformedData
from ems.formats.mpegts.sounds import SoundFrame
from ems.media import aac
from ems.media.bits import BitReader
from ems.media.track import Track

HEADER_SIZE = 3
"""Bytes of sync word and length."""

_SYNC_WORD = 0x2B7
_SIMPLE_TYPES = frozenset({1, 2, 3, 4, 7})
_ESCAPE = 15


class Loas:
    """A `Framing` of AudioSyncStream(): gives raw access units."""

    first = b"\x56"

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._config = b""
        self._track: Track | None = None
        self._samples = 0
        self._units = 0

    def frame(self, data: bytes, offset: int) -> SoundFrame | None:
        """The frame at `offset`; see `Framing`. It has no track before the first configuration."""
        if len(data) - offset < HEADER_SIZE:
            return None
        head = int.from_bytes(data[offset : offset + HEADER_SIZE], "big")
        if head >> 13 != _SYNC_WORD:
            raise MalformedData("no LOAS sync word where an AAC frame should begin")
        start = offset + HEADER_SIZE
        end = start + (head & 0x1FFF)
        if end > len(data):
            return SoundFrame(end)
        units = self._audio_mux_element(BitReader(data[start:end]))
        return SoundFrame(end, self._track, units, self._samples)

    def _audio_mux_element(self, reader: BitReader) -> list[bytes]:
        """AudioMuxElement(1) (table 1.41): the access units in it."""
        if not reader.flag():  # useSameStreamMux
            self._stream_mux_config(reader)
        if self._track is None:
            return []
        units = []
        for _ in range(self._units):
            size = 0
            while (part := reader.u(8)) == 255:
                size += 255
            size += part
            units.append(reader.u(8 * size).to_bytes(size, "big"))
        return units

    def _stream_mux_config(self, reader: BitReader) -> None:
        """StreamMuxConfig() (table 1.42)."""
        version = reader.u(1)
        if version and reader.flag():
            raise MalformedData("LATM with audioMuxVersionA 1, which is reserved")
        if version:
            _value(reader)  # taraBufferFullness
        same_framing, units, programs, layers = reader.flag(), reader.u(6) + 1, reader.u(4) + 1, reader.u(3) + 1
        if not same_framing or programs != 1 or layers != 1:
            raise MalformedData(f"LATM with {programs} programs and {layers} layers")
        config = _version_1_config(reader) if version else _version_0_config(reader)
        frame_length_type = reader.u(3)
        if frame_length_type:
            raise MalformedData(f"LATM with frameLengthType {frame_length_type}")
        reader.skip(8)  # latmBufferFullness
        if reader.flag():  # otherDataPresent: behind the access units, and of no interest
            if version:
                _value(reader)
            else:
                while reader.u(9) >> 8:
                    pass
        if reader.flag():
            reader.skip(8)  # crcCheckSum
        self._units = units
        if config != self._config:
            parsed = aac.AudioSpecificConfig.parse(config)
            self._track, self._samples = aac.make_track(self._pid, config), parsed.frame_length
            self._config = config


def _version_1_config(reader: BitReader) -> bytes:
    """An AudioSpecificConfig behind its length in bits."""
    bits = _value(reader)
    return _bytes(reader.u(bits), bits)


def _version_0_config(reader: BitReader) -> bytes:
    """An AudioSpecificConfig that ends where its syntax ends (§1.6.2.1), so that it must be read to find what follows."""
    fields: list[tuple[int, int]] = []

    def read(width: int) -> int:
        fields.append((reader.u(width), width))
        return fields[-1][0]

    object_type = read(5)
    if read(4) == _ESCAPE:
        read(24)
    layout = read(4)
    if object_type in (aac.SBR, aac.PS):
        if read(4) == _ESCAPE:
            read(24)
        object_type = read(5)
    if object_type not in _SIMPLE_TYPES or not layout:
        raise MalformedData(f"LATM with AAC of type {object_type} and channelConfiguration {layout}")
    read(1)  # frameLengthFlag
    if read(1):  # dependsOnCoreCoder
        read(14)
    if read(1):  # extensionFlag
        read(1)
    number, bits = 0, 0
    for value, width in fields:
        number, bits = number << width | value, bits + width
    return _bytes(number, bits)


def _value(reader: BitReader) -> int:
    """LatmGetValue(): one to four bytes (table 1.43)."""
    return reader.u(8 * (reader.u(2) + 1))


def _bytes(number: int, bits: int) -> bytes:
    """The lowest `bits` bits of a number as bytes, zeros behind them."""
    return (number << -bits % 8).to_bytes((bits + 7) // 8, "big")
