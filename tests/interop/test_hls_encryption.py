"""Encrypted segments in ffmpeg: it fetches the keys, decrypts, and shows exactly what the source has."""

import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import av
import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from ems.formats.m3u8 import MediaPlaylist, Segment
from ems.media import aac, h264, h265
from ems.media.frame import SECOND, Frame
from ems.media.track import Track
from ems.segmenters import cutting
from ems.segmenters.hls.containers import make_container
from ems.segmenters.hls.encryption import KeySchedule, OwnKeys, WholeSegments
from ems.segmenters.hls.sample_aes import Samples
from ems.segmenters.hls.seams import Protection

MEDIA_SECONDS = 8


def clip_frames(path: Path) -> list[Frame]:
    """The first seconds of a clip as the server would have them."""
    with av.open(str(path)) as source:
        tracks: dict[int, Track] = {}
        for stream in source.streams:
            config = stream.codec_context.extradata or b""
            make = {"h264": h264.make_track, "hevc": h265.make_track}.get(stream.codec_context.name, aac.make_track)
            tracks[stream.index] = make(stream.index + 1, config)
        frames = []
        for packet in source.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            dts, pts = (int(ticks * packet.time_base * SECOND) for ticks in (packet.dts, packet.pts))
            frames.append(Frame(tracks[packet.stream.index], dts, pts, packet.is_keyframe, bytes(packet)))
    frames.sort(key=lambda frame: frame.dts)
    # The time of a stream begins with its first frame; that of a file with B-frames begins before 0.
    first = frames[0].dts
    moved = [frame._replace(dts=frame.dts - first, pts=frame.pts - first) for frame in frames]
    return [frame for frame in moved if frame.dts < MEDIA_SECONDS * SECOND]


def write(folder: Path, frames: list[Frame], protection: Protection | None) -> Path:
    """Segments of two seconds, their keys and their playlist."""
    folder.mkdir()
    tracks = tuple({frame.track.id: frame.track for frame in frames}.values())
    container = protection.container(tracks) if protection else None
    container = container or make_container(tracks, segment_type="ts", audio_only=False)
    assert container is not None
    listed = []
    for number, start in enumerate(range(0, MEDIA_SECONDS * SECOND, 2 * SECOND), 1):
        own = [frame for frame in frames if start <= frame.dts < start + 2 * SECOND]
        key = settled(protection.segment(number)) if protection else None
        data = container.header(cutting.Segment(tracks, start, frames=own)) + container.piece(own, start + 2 * SECOND)
        (folder / f"{number}.ts").write_bytes(key.finish(data) if key else data)
        for name, content in key.files.items() if key else ():
            (folder / name).write_bytes(content)
        listed.append(Segment(f"{number}.ts", 2000, key=key.key if key else None))
    path = folder / "playlist.m3u8"
    path.write_text(MediaPlaylist(5, 2, tuple(listed), playlist_type="VOD", ended=True).text)
    return path


def settled(coroutine: object) -> object:
    """The result of a coroutine that does not wait for anything."""
    results: list[object] = []
    done: Deferred[object] = ensureDeferred(coroutine)  # type: ignore[arg-type]
    done.addCallback(results.append)
    return results[0]


def decoded(playlist: Path) -> list[str]:
    """A hash of each picture and each piece of sound, with its time, as ffmpeg shows it."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-allowed_extensions", "ALL", "-i", str(playlist)]
    done = subprocess.run([*command, "-f", "framemd5", "-"], capture_output=True, text=True, timeout=60, check=True)
    return [line for line in done.stdout.splitlines() if not line.startswith("#")]


def keys() -> OwnKeys:
    seconds = count()
    return OwnKeys(lambda: float(next(seconds)))


@pytest.mark.parametrize("kind", ["h264_aac", "h264_bframes_aac"])
def test_ffmpeg_decrypts_whole_segments(clip: Callable[[str], Path], tmp_path: Path, kind: str) -> None:
    """Every picture and every sound of a stream under AES-128 comes out of ffmpeg as if it had never been encrypted."""
    frames = clip_frames(clip(kind))
    plain = write(tmp_path / "plain", frames, None)
    encrypted = write(tmp_path / "encrypted", frames, WholeSegments(KeySchedule(keys(), 2)))
    assert encrypted.read_text().count("#EXT-X-KEY:METHOD=AES-128,") == 2
    assert decoded(encrypted) == decoded(plain)


@pytest.mark.parametrize("kind", ["h264_aac", "h264_bframes_aac"])
def test_ffmpeg_decrypts_samples(clip: Callable[[str], Path], tmp_path: Path, kind: str) -> None:
    """So does a stream under SAMPLE-AES.

    All of it has one key, and the last picture does not count: ffmpeg decrypts the picture that it is about to complete with the
    key of the segment it reads just then, and when there is none, not at all.
    """
    frames = clip_frames(clip(kind))
    plain = decoded(write(tmp_path / "plain", frames, None))
    encrypted = decoded(write(tmp_path / "encrypted", frames, Samples(KeySchedule(keys(), 20))))
    wrong = [number for number, (one, other) in enumerate(zip(encrypted, plain, strict=True)) if one != other]
    pictures = [number for number, line in enumerate(plain) if line.startswith("0,")]
    assert wrong in ([], pictures[-1:])


def test_without_the_key_nothing_plays(clip: Callable[[str], Path], tmp_path: Path) -> None:
    """Whoever takes the key files away ends the playback."""
    playlist = write(tmp_path / "encrypted", clip_frames(clip("h264_aac")), WholeSegments(KeySchedule(keys(), 2)))
    for path in playlist.parent.glob("*.key"):
        path.unlink()
    with pytest.raises(subprocess.CalledProcessError):
        decoded(playlist)
