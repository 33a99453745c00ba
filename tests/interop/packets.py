"""What is inside a media file, read by ffprobe: its packets with their times and a hash of their bytes."""

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests import clips

MAX_SYNC_ERROR = 0.040
"""Seconds between picture and sound that nobody notices (EBU R 37)."""


@dataclass(frozen=True)
class Packet:
    """One coded frame: its presentation time in seconds and the MD5 of its bytes."""

    time: float
    md5: str


@cache
def read_packets(path: Path) -> dict[str, list[Packet]]:
    """The packets of the first video and of the first audio stream, in file order, under ``video`` and ``audio``."""
    command = "ffprobe -v quiet -of json -show_packets -show_data_hash md5 -show_entries packet=codec_type,pts_time,data_hash"
    answer = subprocess.run([*command.split(), str(path)], capture_output=True, timeout=600, check=False)
    packets: dict[str, list[Packet]] = {"video": [], "audio": []}
    for packet in json.loads(answer.stdout or "{}").get("packets", []):
        # A frame that was cut off at the end of a recording has no time.
        if packet.get("codec_type") in packets and "pts_time" in packet:
            packets[packet["codec_type"]].append(Packet(float(packet["pts_time"]), packet["data_hash"]))
    return packets


def decoder_complaints(path: Path) -> str:
    """What ffmpeg's decoders say of the file; empty when every frame decodes."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", str(path), "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False).stderr


def run_in(part: list[Packet], whole: list[Packet]) -> int:
    """Where the frames of `part` lie in `whole`, as an unbroken run; AssertionError when they do not."""
    assert part, "no frame was received"
    hashes = [packet.md5 for packet in whole]
    assert part[0].md5 in hashes, "the first frame received was never sent"
    start = hashes.index(part[0].md5)
    for number, packet in enumerate(part):
        expected = hashes[start + number] if start + number < len(hashes) else None
        sent = hashes.index(packet.md5) if packet.md5 in hashes else "never sent"
        assert packet.md5 == expected, f"frame {number} of {len(part)} received is not {start + number} of those sent but {sent}"
    return start


def sync_error(received: dict[str, list[Packet]], sent: dict[str, list[Packet]]) -> float:
    """By how many seconds sound lags behind the picture (or leads, when negative), compared with what was sent.

    The median over all frames, so that the rounding of single times does not count.
    """
    shifts = {}
    for kind in ("video", "audio"):
        start = run_in(received[kind], sent[kind])
        pairs = zip(received[kind], sent[kind][start:], strict=False)
        ordered = sorted(there.time - here.time for there, here in pairs)
        shifts[kind] = ordered[len(ordered) // 2]
    return shifts["audio"] - shifts["video"]


def assert_arrived(recording: Path | None, clip: Path, seconds: float) -> None:
    """A recording of so many seconds is an unbroken run of the clip's frames, in step and decodable."""
    assert recording is not None
    received, sent = read_packets(recording), read_packets(clip)
    assert len(received["video"]) > (seconds - 2) * clips.FRAME_RATE
    assert abs(sync_error(received, sent)) < MAX_SYNC_ERROR
    assert not decoder_complaints(recording)
