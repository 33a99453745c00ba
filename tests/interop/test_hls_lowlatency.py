"""Low-latency HLS in players that do not know it: the same folder, played as ordinary HLS."""

import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ems.media.frame import Frame
from tests.interop.test_hls_encryption import clip_frames, decoded
from tests.service.hls.low_latency_world import World


def written(folder: Path, frames: list[Frame], **settings: Any) -> Path:
    """The playlist of these frames, with its end."""
    world = World(folder)
    world.write("cam", chunkLength=2, playlistType="appending", keepAlive=False, segmentType="fmp4", **settings)
    stream = world.server.streams.register("cam", type_tag="INEXT", source=None)
    stream.set_tracks(tuple(sorted({frame.track.id: frame.track for frame in frames}.values(), key=lambda track: track.id)))
    for frame in frames:
        world.push(stream, frame)
    stream.end("over")
    return world.path("cam")


@pytest.mark.parametrize("kind", ["h264_aac", "h264_bframes_aac", "hevc_aac"])
def test_segments_made_of_parts_decode_like_others(clip: Callable[[str], Path], tmp_path: Path, kind: str) -> None:
    """Every picture and every sound comes out of ffmpeg at the same time as from segments that were made in one piece."""
    frames = clip_frames(clip(kind))
    parts = written(tmp_path / "parts", frames, partLength=300)
    whole = written(tmp_path / "whole", frames)
    assert decoded(parts) == decoded(whole)
    assert len(decoded(parts)) > 8 * 60


def test_the_times_of_the_samples_run_through_the_parts(clip: Callable[[str], Path], tmp_path: Path) -> None:
    """ffprobe sees each packet begin where the one before ends, in every track."""
    playlist = written(tmp_path, clip_frames(clip("h264_aac")), partLength=300)
    command = ["ffprobe", "-v", "error", "-allowed_extensions", "ALL"]
    command += ["-show_entries", "packet=stream_index,dts_time", "-of", "csv=p=0"]
    lines = subprocess.run([*command, str(playlist)], capture_output=True, text=True, timeout=60, check=True).stdout.split()
    times: dict[str, list[float]] = {}
    for line in lines:
        index, time = line.rstrip(",").split(",")[:2]
        times.setdefault(index, []).append(float(time))
    for one in times.values():
        steps = [later - earlier for earlier, later in pairwise(one)]
        assert max(steps) - min(steps) < 0.001
