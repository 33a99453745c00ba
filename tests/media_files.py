"""Media files for tests of those who read them: made by ffmpeg without encoding, indexed, and told by ffprobe."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from ems.formats.files import SNIFFED, reader_for
from ems.formats.index import MediaIndex
from ems.media.frame import MILLISECOND, SECOND


class Packet(NamedTuple):
    """A sample as ffprobe has it: times in nanoseconds, the place of its bytes (of its tag in FLV) and their number."""

    dts: int
    pts: int
    keyframe: bool
    offset: int
    size: int


def remuxed(source: Path, target: Path, *options: str, seek: str = "0") -> Path:
    """A copy of a clip from `seek` seconds on, in the format that the target's name tells. The options may
    name further inputs first."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-ss", seek, "-i", str(source)]
    subprocess.run([*command, *options, "-c", "copy", "-strict", "-2", str(target)], check=True, timeout=60)
    return target


def indexed(path: Path) -> MediaIndex:
    """The index of a file whose samples are all what they should be."""
    data = path.read_bytes()
    index = index_of(data, path.name)
    for track in index.tracks:
        stored(index, data, track.id)
    return index


def index_of(data: bytes, name: str = "") -> MediaIndex:
    """The index of a file in memory. Raises `MalformedData`."""
    reader = reader_for(name, data[:SNIFFED])
    assert reader is not None
    return reader(lambda offset, length: data[offset : offset + length], len(data))


def stored(index: MediaIndex, data: bytes, track_id: int = 1) -> list[bytes]:
    """The payloads of a track in decoding order. Raises `MalformedData`."""
    found = [sample for sample in index.samples if sample.track_id == track_id]
    return [index.payload(sample, data[sample.offset : sample.offset + sample.size]) for sample in found]


def shown(index: MediaIndex, track_id: int = 1) -> list[float]:
    """When the samples of a track are shown, in milliseconds, in decoding order."""
    return [sample.pts / MILLISECOND for sample in index.samples if sample.track_id == track_id]


def packets(index: MediaIndex, track_id: int) -> list[Packet]:
    """The samples of a track in decoding order."""
    return [Packet(*sample[1:]) for sample in index.samples if sample.track_id == track_id]


def probed(path: Path, *options: str) -> list[list[Packet]]:
    """What ffprobe finds in each stream of a file, video first."""
    command = ["ffprobe", "-v", "error", *options, "-of", "json", "-show_packets", "-show_streams", str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    streams = sorted(found["streams"], key=lambda stream: str(stream["codec_type"]) != "video")
    return [[_packet(row, stream) for row in found["packets"] if row["stream_index"] == stream["index"]] for stream in streams]


def _packet(row: dict[str, Any], stream: dict[str, Any]) -> Packet:
    tick = Fraction(stream["time_base"]) * SECOND
    dts, pts = (int(row[key] * tick // 1) for key in ("dts", "pts"))
    return Packet(dts, pts, "K" in row["flags"], int(row["pos"]), int(row["size"]))
