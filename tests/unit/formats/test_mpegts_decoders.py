"""Real encoders' streams: made by `TsMuxer` and read by the ffmpeg libraries, made by ffmpeg and read by `TsDemuxer`."""

import io
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import av
import pytest

from ems.formats.mpegts.mux import TsMuxer, carried
from ems.media import aac, ac3, h264, h265, mp3, opus
from ems.media.frame import SECOND, Frame
from ems.media.track import Kind, Track
from tests.clips import clip
from tests.ts_analyser import analyse
from tests.ts_streams import demuxed, samples, tracks

CLIPS = ["h264_aac", "h264_bframes_aac", "hevc_aac", "h264_mp3", "h264_ac3", "vp9_opus", "aac_only"]
FRAMES = 400

MAKERS = {"h264": h264.make_track, "hevc": h265.make_track, "aac": aac.make_track, "opus": opus.make_track}
FROM_FRAME = {"mp3": mp3.make_track, "mp3float": mp3.make_track, "ac3": ac3.make_track}


def frames_of(kind: str) -> Iterator[Frame]:
    """The first frames of a clip whose codecs MPEG-TS carries."""
    with av.open(str(clip(kind))) as container:
        tracks: dict[int, Track] = {}
        for packet in container.demux():
            name, index, data = packet.stream.codec_context.name, packet.stream.index, bytes(packet)
            if not data:
                continue
            if index not in tracks:
                if name in MAKERS:
                    tracks[index] = MAKERS[name](index, bytes(packet.stream.codec_context.extradata or b""))
                elif name in FROM_FRAME:
                    tracks[index] = FROM_FRAME[name](index, data)
                else:
                    continue
            unit = Fraction(packet.time_base) * SECOND
            yield Frame(
                tracks[index],
                round((packet.dts or 0) * unit) + SECOND,
                round((packet.pts or 0) * unit) + SECOND,
                packet.is_keyframe,
                data,
            )


def made(frames: list[Frame], **options: int) -> bytes:
    """These frames as a transport stream."""
    muxer = TsMuxer(carried(list({frame.track.id: frame.track for frame in frames}.values())), **options)
    out, due = [], -1
    for frame in frames:
        if frame.dts >= due:
            out.append(muxer.psi())
            due = frame.dts + SECOND // 2
        out.append(muxer.frame(frame))
    return b"".join([*out, muxer.flush()])


@pytest.mark.parametrize("kind", CLIPS)
def test_real_streams(kind: str) -> None:
    """The analyser finds nothing wrong, ffmpeg decodes every frame at its time, and what comes back is what went in."""
    frames = list(islice(frames_of(kind), FRAMES))
    data = made(frames)
    assert analyse(data).errors == []
    found = samples(demuxed(data))
    assert {(s.track.kind, s.pts_ticks, s.keyframe, s.data) for s in found} == {
        (f.track.kind, round(f.pts * 9 / 100_000) + 126_000, f.keyframe, f.data) for f in frames
    }
    with av.open(io.BytesIO(data), format="mpegts") as container:
        decoded = {stream.index: 0 for stream in container.streams}
        for packet in container.demux():
            decoded[packet.stream.index] += len(packet.decode())
    sent = {kind: sum(frame.track.kind is kind for frame in frames) for kind in Kind}
    expected = [count for kind, count in sent.items() if count]
    assert all(count >= wanted - 1 for count, wanted in zip(decoded.values(), expected, strict=True))


@pytest.mark.parametrize("kind", ["h264_bframes_aac", "aac_only"])
def test_grouped_sound(kind: str) -> None:
    """Grouped AAC frames keep their times, to the tick."""
    frames = list(islice(frames_of(kind), FRAMES))
    found = samples(demuxed(made(frames, group_audio=5)), Kind.AUDIO)
    expected = [(round(f.pts * 9 / 100_000) + 126_000, f.data) for f in frames if f.track.kind is Kind.AUDIO]
    assert len(found) == len(expected)
    assert all(abs(s.pts_ticks - pts) <= 1 and s.data == data for s, (pts, data) in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("h264_bframes_aac", ""),
        ("h264_ac3", "-mpegts_m2ts_mode 1"),
        ("h264_aac", "-mpegts_flags latm"),
        ("hevc_aac", "-pes_payload_size 170"),
        ("h264_mp3", "-mpegts_flags system_b"),
        ("h264_ac3", "-mpegts_flags system_b"),
        ("vp9_opus", "-muxrate 3000000"),
    ],
)
def test_what_ffmpeg_sends(kind: str, options: str) -> None:
    """ffmpeg's streams, with LATM, DVB descriptors, 192-byte packets or a constant rate, give the frames that are in them."""
    frames = list(islice(frames_of(kind), 300))
    ids = {frame.track.id for frame in frames}
    mapped = [word for number in sorted(ids) for word in ("-map", f"0:{number}")]
    source = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(clip(kind)), *mapped]
    command = [*source, "-c", "copy", "-t", "8", *options.split(), "-f", "mpegts", "-"]
    data = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    events = demuxed(data)
    assert len(tracks(events)) == 1
    found = {sample.data for sample in samples(events)}
    missing = [frame for frame in frames if frame.data not in found]
    # libx265 puts its name into each key frame, and ffmpeg puts it there once more.
    assert [frame for frame in missing if not (frame.keyframe and kind == "hevc_aac")] == []
