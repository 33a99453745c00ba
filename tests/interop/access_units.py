"""What is inside a stream, wherever it comes from: its access units with their times, read by ffmpeg's libraries.

Each protocol wraps the same coded frames in another way: lengths or start codes between NAL units, parameter sets in front of
key frames or beside the stream, ADTS headers or none. What is hashed here is what they have in common: the slices of a picture
(ITU-T H.264 table 7-1, H.265 table 7-1) and the raw AAC access unit, so that a file and a live stream can be compared.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import av

from tests.interop.packets import Packet

AccessUnits = dict[str, list[Packet]]
"""Under ``video`` and ``audio`` the access units in the order in which they came."""

_START_CODE = b"\0\0\1"


def read(source: Any, seconds: float, kinds: tuple[str, ...], options: Mapping[str, str], timeout: float = 20) -> AccessUnits:
    """The first `seconds` of a file, an address, or an object with `read`, as far as it goes.

    It returns when all of `kinds` have come for so long. AssertionError when that takes `timeout` seconds longer; a file may be
    shorter. `options` are those of ffmpeg's input, ``format`` among them.
    """
    found: AccessUnits = {"video": [], "audio": []}
    deadline = time.monotonic() + seconds + timeout
    with av.open(source, format=options.get("format"), options=dict(options), timeout=timeout) as container:
        plain = {stream.index: _plain_form(stream) for stream in container.streams if stream.type in found}
        for packet in container.demux([container.streams[index] for index in plain]):
            if packet.pts is None or packet.time_base is None:
                continue
            data = plain[packet.stream.index](bytes(packet))
            found[packet.stream.type].append(Packet(float(packet.pts * packet.time_base), hashlib.md5(data).hexdigest()))
            if all(duration(found[kind]) >= seconds for kind in kinds):
                break
            assert time.monotonic() < deadline, f"only { ({kind: duration(found[kind]) for kind in kinds}) } s came in time"
    return found


def duration(units: list[Packet]) -> float:
    """Seconds from the first to the newest time."""
    return max(unit.time for unit in units) - units[0].time if units else 0.0


def _plain_form(stream: Any) -> Callable[[bytes], bytes]:
    """The function that takes off what a container puts around the access units of a stream."""
    configuration = stream.codec_context.extradata or b""
    codec = stream.codec_context.name
    if codec == "aac":
        return bytes if configuration else _without_adts
    # The records avcC and hvcC begin with their version, 1; parameter sets with a start code.
    split = _by_length if configuration[:1] == b"\1" else _by_start_code
    is_slice = _is_h264_slice if codec == "h264" else _is_h265_slice
    return lambda data: b"".join(unit for unit in split(data) if is_slice(unit))


def _without_adts(data: bytes) -> bytes:
    """An access unit without its ADTS header, which is 2 bytes longer with a checksum (ISO/IEC 14496-3 §1.A.3.2)."""
    assert data[0] == 0xFF and data[1] & 0xF6 == 0xF0, "no ADTS header"
    return data[7 if data[1] & 1 else 9 :]


def _by_length(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "big")
        yield data[start + 4 : end]
        start = end


def _by_start_code(data: bytes) -> Iterator[bytes]:
    """A NAL unit never ends with a zero byte: those belong to the next start code (ITU-T H.264 annex B)."""
    return (unit.rstrip(b"\0") for unit in data.split(_START_CODE)[1:])


def _is_h264_slice(unit: bytes) -> bool:
    return 1 <= unit[0] & 31 <= 5


def _is_h265_slice(unit: bytes) -> bool:
    return unit[0] >> 1 & 63 < 32
