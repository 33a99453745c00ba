"""The demonstration clip: how it is made, and how it is read.

A new installation has nothing to show, so the server makes itself 20 seconds of H.264 and AAC: a moving test picture with a
running time code, and each second a white box that flashes while a tone beeps, so that eye and ear can judge whether picture
and sound are in step.

The clip is made to be played in a loop for ever without a seam:

* 20 s are 600 pictures of 1/30 s and also exactly 625 AAC frames of 1024 samples at 32 kHz (at 48 kHz half an AAC frame would
  be left over, and the sound would lag more with each round);
* the sound repeats every second, and only the encoder's steady state is kept: one frame of AAC overlaps its neighbours, so
  the last frame of the clip must overlap with the first as it does with any other;
* the picture has no B-frames, so decoding order is presentation order and the first picture may follow the last at once.

Everything here blocks (PyAV: FFmpeg in this process) and belongs into a thread; `ems.demo` plays the result.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter

from ems.errors import MalformedData
from ems.media import aac, h264, nal
from ems.media.frame import SECOND, Frame
from ems.media.track import Codec, Track

CLIP_SECONDS = 20
"""A whole number of pictures and, at this sample rate, of AAC frames."""

FRAME_RATE = 30
SAMPLE_RATE = 32_000
SAMPLES_PER_AAC_FRAME = 1024

LEAD_IN_SECONDS = 4
"""Sound that is encoded first and thrown away, so that the encoder has reached its steady state."""

MAX_CLIP_SIZE = 64 << 20
"""Bytes of a clip that somebody put in the place of ours: all of it is held in memory."""

VIDEO_TRACK_ID = 1
AUDIO_TRACK_ID = 2


class ClipError(Exception):
    """There will be no demonstration clip; the text says why."""


class DamagedClip(ClipError):
    """The file is there but is not a whole clip: worth making anew."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip in memory: `frames` in the order of their decoding times, the first at 0; `duration` in nanoseconds."""

    tracks: tuple[Track, ...]
    frames: tuple[Frame, ...]
    duration: int


def obtain_clip(path: Path, cancelled: Callable[[], bool] = lambda: False) -> Clip:
    """Read the clip at `path`, making it first when it is missing or damaged. Blocks for some seconds.

    A damaged file is kept beside it as ``<name>.damaged``. `cancelled` is asked at every picture that is made.
    Raises `ClipError` when the disk, the encoder, the file or `cancelled` does not allow it.
    """
    try:
        if path.exists():
            try:
                return read_clip(path)
            except DamagedClip:
                path.replace(path.with_name(path.name + ".damaged"))
        make_clip(path, cancelled)
    except OSError as error:
        raise ClipError(f"{path}: {error.strerror or error}") from error
    return read_clip(path)


def make_clip(path: Path, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Encode the clip: 1280x720, 30 pictures a second, about 1.5 Mbit/s, a key frame every 2 s, stereo AAC.

    Written under a temporary name and renamed, so `path` is a whole clip or not there. Takes about 4 s of one core.
    Raises `ClipError` without an encoder or when `cancelled`, OSError when the disk does not take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with av.open(str(unfinished), "w", format="mp4", options={"movflags": "+faststart"}) as output:
            _encode(output, cancelled)
        unfinished.replace(path)
    except av.error.FFmpegError as error:
        raise ClipError(f"{path}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def read_clip(path: Path) -> Clip:
    """Read an MP4 file with one H.264 track and, optionally, one AAC track into frames.

    Raises `DamagedClip` when the file is cut off or broken, `ClipError` when it is whole but not of that kind or larger
    than `MAX_CLIP_SIZE`, OSError when it cannot be read.
    """
    if path.stat().st_size > MAX_CLIP_SIZE:
        raise ClipError(f"{path}: larger than {MAX_CLIP_SIZE >> 20} MiB, too large to loop from memory")
    try:
        with av.open(str(path)) as container:
            return _demultiplex(container, path)
    except (av.error.FFmpegError, MalformedData) as error:
        raise DamagedClip(f"{path}: {error}") from error


def _encode(output: Any, cancelled: Callable[[], bool]) -> None:
    try:
        video = output.add_stream("libx264", rate=FRAME_RATE, options=_X264_OPTIONS)
        audio = output.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
    except ValueError as error:
        raise ClipError(f"this FFmpeg cannot encode the clip: {error}") from error
    video.width, video.height, video.pix_fmt, video.bit_rate = 1280, 720, "yuv420p", 1_500_000
    video.codec_context.time_base = Fraction(1, FRAME_RATE)
    # One thread leaves the other cores to the streams that are already running.
    video.codec_context.thread_count = 1
    audio.bit_rate = 96_000
    for picture in _pull(_picture_source()):
        if cancelled():
            raise ClipError("the server stopped before the clip was made")
        output.mux(video.encode(picture))
    output.mux(video.encode(None))
    for sound in _pull(_sound_source()):
        output.mux(_steady(audio.encode(sound)))


_X264_OPTIONS = {
    "preset": "superfast",
    "profile": "main",
    "g": str(2 * FRAME_RATE),
    "keyint_min": str(2 * FRAME_RATE),
    "sc_threshold": "0",
    "bf": "0",
    "maxrate": "1500k",
    "bufsize": "3000k",
}


def _steady(packets: list[Any]) -> list[Any]:
    """Those of the encoder's packets that are the clip's, moved to begin at 0."""
    lead_in = LEAD_IN_SECONDS * SAMPLE_RATE
    kept = [packet for packet in packets if lead_in <= packet.pts < lead_in + CLIP_SECONDS * SAMPLE_RATE]
    for packet in kept:
        packet.pts = packet.dts = packet.pts - lead_in
    return kept


def _picture_source() -> Any:
    graph = av.filter.Graph()
    _link(
        graph,
        # Drawn at half size and doubled, so that the time code can be read from a distance.
        graph.add("testsrc2", size="640x360", rate=str(FRAME_RATE), duration=str(CLIP_SECONDS)),
        graph.add("scale", w="1280", h="720", flags="neighbor"),
        graph.add("drawbox", x="560", y="600", w="160", h="80", color="white", thickness="fill", enable="lt(mod(t,1),0.1)"),
        graph.add("format", pix_fmts="yuv420p"),
        graph.add("buffersink"),
    )
    return graph


def _sound_source() -> Any:
    beep = "0.3*sin(2*PI*1000*t)*lt(mod(t,1),0.1)"
    # A second more than is kept, because the encoder holds the newest frames back.
    seconds = LEAD_IN_SECONDS + CLIP_SECONDS + 1
    graph = av.filter.Graph()
    _link(
        graph,
        graph.add("aevalsrc", exprs=f"{beep}|{beep}", sample_rate=str(SAMPLE_RATE), duration=str(seconds)),
        graph.add("aformat", sample_fmts="fltp"),
        graph.add("asetnsamples", nb_out_samples=str(SAMPLES_PER_AAC_FRAME)),
        graph.add("abuffersink"),
    )
    return graph


def _link(graph: Any, *chain: Any) -> None:
    for source, sink in pairwise(chain):
        source.link_to(sink)
    graph.configure()


def _pull(graph: Any) -> Iterator[Any]:
    while True:
        try:
            frame = graph.pull()
        except av.error.EOFError:
            return
        # The source marks every picture as an intra picture, which x264 would take for an order.
        if hasattr(frame, "pict_type"):
            frame.pict_type = 0
        yield frame


def _demultiplex(container: Any, path: Path) -> Clip:
    streams = _streams_of(container, path)
    tracks = {index: _track(stream) for index, stream in streams.items()}
    packets = [packet for packet in container.demux(list(streams.values())) if packet.dts is not None and packet.size]
    for index, stream in streams.items():
        present = sum(packet.stream_index == index for packet in packets)
        if not present or present < stream.frames:
            raise DamagedClip(f"{path}: {present} of {stream.frames} frames of its {tracks[index].kind.value} are there")
    start = min(_nanoseconds(packet.dts, packet.time_base) for packet in packets)
    end = max(_nanoseconds(packet.dts + packet.duration, packet.time_base) for packet in packets)
    frames = [_frame(packet, tracks[packet.stream_index], streams[packet.stream_index], start) for packet in packets]
    frames.sort(key=lambda frame: frame.dts)
    return Clip(tuple(tracks.values()), tuple(frames), end - start)


def _streams_of(container: Any, path: Path) -> dict[int, Any]:
    """The first H.264 and the first AAC stream by their index in the file."""
    video = next((s for s in container.streams.video if s.codec_context.name == "h264"), None)
    audio = next((s for s in container.streams.audio if s.codec_context.name == "aac"), None)
    if video is None:
        raise ClipError(f"{path}: has no H.264 video")
    return {stream.index: stream for stream in (video, audio) if stream is not None}


def _track(stream: Any) -> Track:
    config = bytes(stream.codec_context.extradata or b"")
    if stream.type == "video":
        return h264.make_track(VIDEO_TRACK_ID, config)
    return aac.make_track(AUDIO_TRACK_ID, config)


def _frame(packet: Any, track: Track, stream: Any, start: int) -> Frame:
    data = bytes(packet)
    if track.codec is Codec.H264:
        length_size = (stream.codec_context.extradata[4] & 3) + 1
        data = nal.with_four_byte_lengths(data, length_size)
        nal.split_lengths(data, 4)
    dts = _nanoseconds(packet.dts, packet.time_base) - start
    pts = _nanoseconds(packet.pts if packet.pts is not None else packet.dts, packet.time_base) - start
    return Frame(track, dts, pts, packet.is_keyframe or track.codec is not Codec.H264, data)


def _nanoseconds(ticks: int, time_base: Fraction) -> int:
    return round(ticks * time_base * SECOND)
