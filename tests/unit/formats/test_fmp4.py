"""Fragmented MP4: what is written is what was given, to the box, and ffprobe agrees."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import av
import pytest

from ems.errors import LocalProtocolError
from ems.formats.fmp4 import FragmentWriter, Run, carried, init_segment, segment_type, ticks, timescale
from ems.media import aac, ac3, av1, flac, h264, h265, mp3, opus, vpx
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Codec, Kind, Track
from tests.unit.media import vectors

VIDEO = h264.make_track(0, vectors.AVCC_HIGH)
AUDIO = aac.make_track(256, vectors.ASC_STEREO)

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"moof", b"traf"}


class Box(NamedTuple):
    """A box: where it stands (``moof/traf/trun``), where it begins, and what is in it."""

    path: str
    start: int
    body: bytes


def walk(data: bytes) -> Iterator[Box]:
    """All boxes of a file in order, each before those in it; AssertionError when sizes do not add up."""
    waiting = [("", 0, len(data))]
    while waiting:
        parent, start, end = waiting.pop()
        if start == end:
            continue
        size = int.from_bytes(data[start : start + 4], "big")
        name = data[start + 4 : start + 8]
        assert 8 <= size <= end - start, f"a box of {size} bytes at {start} in {parent!r}"
        path = f"{parent}/{name.decode()}".lstrip("/")
        yield Box(path, start, data[start + 8 : start + size])
        waiting.append((parent, start + size, end))
        if name in CONTAINERS:
            waiting.append((path, start + 8, start + size))


def bodies(data: bytes, path: str) -> list[bytes]:
    """The contents of all boxes at a path."""
    return [box.body for box in walk(data) if box.path == path]


def frames_of(track: Track, count: int, step: int, **more: int) -> list[Frame]:
    """`count` frames, one each `step` nanoseconds, every tenth a key frame for video."""
    video = track.kind is Kind.VIDEO
    return [
        Frame(track, i * step, i * step + more.get("later", 0), not video or i % 10 == 0, bytes((i % 256,)) * (5 + i % 7))
        for i in range(count)
    ]


def source(path: Path) -> tuple[tuple[Track, ...], dict[int, list[Frame]], dict[int, int]]:
    """Tracks and frames of an MP4 file by track id, and when each track ends; pts as decoded from no edit list."""
    makers = {"h264": h264.make_track, "aac": aac.make_track, "hevc": h265.make_track}
    tracks, frames, ends = [], {}, {}
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        for index, stream in enumerate(container.streams):
            track = makers[stream.codec_context.name](index, bytes(stream.codec_context.extradata))
            tracks.append(track)
            frames[index] = []
        for packet in container.demux():
            if packet.dts is None:
                continue
            unit = SECOND * packet.time_base
            index = packet.stream_index
            frame = Frame(tracks[index], round(packet.dts * unit), round(packet.pts * unit), packet.is_keyframe, bytes(packet))
            frames[index].append(frame)
            ends[index] = round((packet.dts + packet.duration) * unit)
    return tuple(tracks), frames, ends


def packets(path: Path) -> dict[int, list[tuple[int, int, bool, int, str]]]:
    """What ffprobe finds: pts, dts, key frame, size and hash of each packet by stream."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_packets", "-show_data_hash", "md5", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert not done.stderr
    found: dict[int, list[tuple[int, int, bool, int, str]]] = {}
    for p in json.loads(done.stdout)["packets"]:
        row = (int(p["pts"]), int(p["dts"]), "K" in p["flags"], int(p["size"]), p["data_hash"])
        found.setdefault(p["stream_index"], []).append(row)
    return found


def grouped(frames: list[Frame], count: int, end: int) -> Iterator[Run]:
    """The frames in runs of `count`."""
    for start in range(0, len(frames), count):
        following = frames[start + count].dts if start + count < len(frames) else end
        yield Run(frames[start].track, frames[start : start + count], following)


@pytest.mark.parametrize("count", [1, 7, 50])
@pytest.mark.parametrize("kind", ["h264_bframes_aac", "hevc_aac"])
def test_ffprobe_reads_what_was_written(kind: str, count: int, clip: object, tmp_path: Path) -> None:
    """Every frame comes back with its times, its key frame flag and its bytes, however many a fragment has."""
    tracks, frames, ends = source(clip(kind))  # type: ignore[operator]
    writer = FragmentWriter(tracks)
    cut = {index: some[:200] for index, some in frames.items()}
    runs = [run for index, some in cut.items() for run in grouped(some, count, ends[index])]
    # As a live stream would have them: sound and picture side by side.
    runs.sort(key=lambda run: run.frames[0].dts)
    path = tmp_path / "out.mp4"
    path.write_bytes(init_segment(tracks) + b"".join(writer.fragment([run]) for run in runs))
    found = packets(path)
    for track in tracks:
        scale = timescale(track)
        expected = [(ticks(f.pts, scale), ticks(f.dts, scale), f.keyframe, len(f.data)) for f in cut[track.id]]
        assert [row[:4] for row in found[track.id]] == expected


def test_both_tracks_in_one_fragment(tmp_path: Path, clip: object) -> None:
    """A segment of picture and sound is one fragment, which decodes without complaint."""
    tracks, frames, ends = source(clip("h264_bframes_aac"))  # type: ignore[operator]
    writer = FragmentWriter(tracks)
    path = tmp_path / "out.mp4"
    pairs = zip(*(grouped(frames[track.id][:500], 50, ends[track.id]) for track in tracks), strict=True)
    path.write_bytes(init_segment(tracks) + b"".join(segment_type() + writer.fragment(pair) for pair in pairs))
    found = packets(path)
    assert [len(found[track.id]) for track in tracks] == [500, 500]
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "null", "-"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr == ""


def test_times_do_not_drift() -> None:
    """Thirty frames a second for an hour: durations add up to the hour exactly, and each fragment begins where the last ended."""
    writer = FragmentWriter([VIDEO])
    expected = 0
    for number in range(0, 108_000, 9):
        start, end = number * SECOND // 30_000 * 1001, (number + 1) * SECOND // 30_000 * 1001
        data = writer.fragment([Run(VIDEO, [Frame(VIDEO, start, start, True, b"x")], end)])
        (tfdt,), (tfhd,) = bodies(data, "moof/traf/tfdt"), bodies(data, "moof/traf/tfhd")
        begins = int.from_bytes(tfdt[4:], "big")
        assert begins == ticks(start, 90_000)
        assert begins + int.from_bytes(tfhd[8:12], "big") == ticks(end, 90_000)
        expected += 1
    assert writer.sequence == expected


@pytest.mark.parametrize("later", [0, 40 * MILLISECOND, -40 * MILLISECOND])
@pytest.mark.parametrize("count", [1, 3])
def test_composition_offsets_only_when_needed(later: int, count: int) -> None:
    """Frames shown when they are decoded have no offset; an earlier one is written signed, as version 1."""
    data = FragmentWriter([VIDEO]).fragment([Run(VIDEO, frames_of(VIDEO, count, SECOND, later=later), count * SECOND)])
    (trun,) = bodies(data, "moof/traf/trun")
    flags = int.from_bytes(trun[:4], "big")
    assert bool(flags & 0x800) == (later != 0)
    assert flags >> 24 == (later < 0)
    if later:
        assert int.from_bytes(trun[-4:], "big", signed=True) == later * 90_000 // SECOND


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 10, 25])
def test_data_lies_where_the_boxes_say(count: int, runs: int) -> None:
    """Each track's samples begin at its data offset, with its sizes."""
    tracks = (VIDEO, AUDIO)[:runs]
    some = [Run(track, frames_of(track, count, SECOND // 50), count * SECOND // 50) for track in tracks]
    data = FragmentWriter(tracks).fragment(some)
    assert [box.path for box in walk(data) if "/" not in box.path] == ["moof", "mdat"]
    for run, trun in zip(some, bodies(data, "moof/traf/trun"), strict=True):
        assert int.from_bytes(trun[4:8], "big") == count
        offset = int.from_bytes(trun[8:12], "big")
        payload = b"".join(frame.data for frame in run.frames)
        assert data[offset : offset + len(payload)] == payload


def test_flags_tell_the_truth() -> None:
    """Key frames are sync samples that depend on none; all others are neither."""
    writer = FragmentWriter([VIDEO])
    for keyframe, flags in ((True, 0x02000000), (False, 0x01010000)):
        (tfhd,) = bodies(writer.fragment([Run(VIDEO, [Frame(VIDEO, 0, 0, keyframe, b"x")], 1)]), "moof/traf/tfhd")
        assert int.from_bytes(tfhd[-4:], "big") == flags
    frames = frames_of(VIDEO, 15, SECOND)
    (trun,) = bodies(writer.fragment([Run(VIDEO, frames, 15 * SECOND)]), "moof/traf/trun")
    assert [int.from_bytes(trun[12 + 8 * i + 4 : 20 + 8 * i], "big") == 0x02000000 for i in range(15)] == [
        frame.keyframe for frame in frames
    ]


def test_the_initialisation_segment() -> None:
    """`ftyp` with the usual brands, `moov` with a track each and nothing in its tables, and no edit lists."""
    data = init_segment([VIDEO, AUDIO])
    paths = [box.path for box in walk(data)]
    assert paths[:3] == ["ftyp", "moov", "moov/mvhd"]
    assert paths.count("moov/trak") == paths.count("moov/mvex/trex") == 2
    assert "moov/trak/edts" not in paths
    (ftyp,) = bodies(data, "ftyp")
    assert ftyp == b"iso5" + (512).to_bytes(4, "big") + b"iso5iso6mp41"
    assert [int.from_bytes(mdhd[12:16], "big") for mdhd in bodies(data, "moov/trak/mdia/mdhd")] == [90_000, 44_100]
    assert init_segment([VIDEO], brands=(b"cmfc", b"iso6"))[8:12] == b"cmfc"


def track_of(codec: Codec) -> Track:
    """A track of each codec that MP4 carries."""
    if codec is Codec.VP8:
        return vpx.make_track(1, vectors.VPCC_BOX, Codec.VP8)
    made = {
        Codec.H264: lambda: h264.make_track(1, vectors.AVCC_HIGH),
        Codec.H265: lambda: h265.make_track(1, vectors.HVCC_MAIN),
        Codec.AV1: lambda: av1.make_track(1, vectors.AV1C),
        Codec.VP9: lambda: vpx.make_track(1, vectors.VPCC_BOX),
        Codec.AAC: lambda: aac.make_track(1, vectors.ASC_STEREO),
        Codec.MP3: lambda: mp3.make_track(1, vectors.MP3_STEREO),
        Codec.OPUS: lambda: opus.make_track(1, vectors.OPUS_5_1),
        Codec.FLAC: lambda: flac.make_track(1, vectors.STREAMINFO),
        Codec.AC3: lambda: ac3.make_track(1, vectors.AC3_5_1),
        Codec.EAC3: lambda: ac3.make_track(1, vectors.EAC3_STEREO),
    }
    return made[codec]()


NAMES = {Codec.H265: "hevc"}
CODECS = [
    *(Codec.H264, Codec.H265, Codec.AV1, Codec.VP8, Codec.VP9),
    *(Codec.AAC, Codec.MP3, Codec.OPUS, Codec.FLAC, Codec.AC3, Codec.EAC3),
]


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_recognised(codec: Codec, tmp_path: Path) -> None:
    """ffprobe knows each codec by its sample entry, with its rate and channels or its size, and its configuration whole."""
    track = track_of(codec)
    frames = {Codec.AC3: vectors.AC3_5_1, Codec.EAC3: vectors.EAC3_STEREO, Codec.MP3: vectors.MP3_STEREO}
    data = init_segment([track], first_frames={1: frames.get(codec, b"")})
    path = tmp_path / "out.mp4"
    frame = Frame(track, 0, 0, True, frames.get(codec, b"\0\0\0\1\x65"))
    path.write_bytes(data + FragmentWriter([track]).fragment([Run(track, [frame], SECOND // 25)]))
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-show_streams", str(path)]
    (stream,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)["streams"]
    assert stream["codec_name"] == NAMES.get(codec, codec.value)
    if track.kind is Kind.AUDIO:
        assert (int(stream["sample_rate"]), stream["channels"]) == (track.sample_rate, track.channels)
    if track.config:
        found = opus_box(track) if codec is Codec.OPUS else track.config
        assert found in data


def opus_box(track: Track) -> bytes:
    """OpusHead as MP4 has it: version 0, and numbers in the other order."""
    head = opus.OpusHead.parse(track.config)
    numbers = head.pre_skip.to_bytes(2, "big") + head.input_sample_rate.to_bytes(4, "big") + bytes(2)
    return (
        bytes((0, head.channels)) + numbers + bytes((head.mapping_family, head.stream_count, head.coupled_count)) + head.mapping
    )


def test_dolby_configurations_with_and_without_a_frame() -> None:
    """The configuration of AC-3 is that of its frames, or a likely one while none has come."""
    for codec, frame, name in ((Codec.AC3, vectors.AC3_5_1, b"dac3"), (Codec.EAC3, vectors.EAC3_STEREO, b"dec3")):
        track = track_of(codec)
        exact, likely = init_segment([track], first_frames={1: frame}), init_segment([track])
        assert exact.count(name) == likely.count(name) == 1
        assert len(exact) == len(likely)
        header = ac3.parse_sync_frame(frame)
        body = exact[exact.index(name) + 4 :]
        bits = int.from_bytes(body[:3] if codec is Codec.AC3 else body[2:5], "big")
        acmod = bits >> 11 & 7 if codec is Codec.AC3 else bits >> 9 & 7
        assert (bits >> 22, bits >> 17 & 31, acmod) == (header.fscod, header.bsid, header.acmod)


def test_what_is_carried() -> None:
    """Video comes first; codecs without a sample entry and tracks that nothing is known of are left out."""
    unknown = Track(1, Kind.VIDEO, Codec.H264)
    speex = Track(2, Kind.AUDIO, Codec.FLV_SPEEX, sample_rate=16000)
    silent = Track(3, Kind.AUDIO, Codec.MP3)
    data = Track(512, Kind.DATA, Codec.AMF0)
    assert carried([AUDIO, data, unknown, speex, silent, VIDEO]) == (VIDEO, AUDIO)
    for track in (unknown, speex, silent, data):
        with pytest.raises(LocalProtocolError):
            init_segment([track])


@pytest.mark.parametrize("runs", [[], [Run(VIDEO, [], 0)], [Run(AUDIO, frames_of(AUDIO, 1, 1), 1)]])
def test_fragments_of_nothing_or_of_others(runs: Iterable[Run]) -> None:
    """Our own mistakes are told, not written."""
    with pytest.raises(LocalProtocolError):
        FragmentWriter([VIDEO]).fragment(list(runs))


def test_rates_beyond_the_sample_entry() -> None:
    """Sound of 96 and 192 kHz is halved until it fits 16 bits; the media clock has the whole rate."""
    track = Track(1, Kind.AUDIO, Codec.FLAC, config=vectors.STREAMINFO, sample_rate=192_000, channels=2)
    data = init_segment([track])
    (stsd,) = bodies(data, "moov/trak/mdia/minf/stbl/stsd")
    assert int.from_bytes(stsd[40:44], "big") == 48_000 << 16
    (mdhd,) = bodies(data, "moov/trak/mdia/mdhd")
    assert int.from_bytes(mdhd[12:16], "big") == 192_000


def test_a_silence_of_days() -> None:
    """A frame before a silence longer than 32 bits can say ends earlier; the next one is in its place."""
    writer = FragmentWriter([VIDEO])
    end = 100 * 3600 * SECOND
    for run in ([frames_of(VIDEO, 1, 1)], [frames_of(VIDEO, 2, 1)]):
        data = writer.fragment([Run(VIDEO, run[0], end)])
        assert b"\xff\xff\xff\xff" in data
    data = writer.fragment([Run(VIDEO, [Frame(VIDEO, end, end, True, b"x")], end + SECOND)])
    assert int.from_bytes(bodies(data, "moof/traf/tfdt")[0][4:], "big") == 100 * 3600 * 90_000


@pytest.mark.parametrize("length", [2, 127, 128, 300, 20_000])
def test_long_configurations_of_aac(length: int) -> None:
    """A configuration with a program config element is kept whole, whatever its length does to the descriptors."""
    config = vectors.ASC_STEREO[:2] + bytes(length - 2)
    data = init_segment([Track(1, Kind.AUDIO, Codec.AAC, config=config, sample_rate=44100, channels=2)])
    (stsd,) = bodies(data, "moov/trak/mdia/minf/stbl/stsd")
    position = stsd.index(b"esds") + 8
    seen = {}
    for tag, skip in ((3, 3), (4, 13), (5, 0)):
        assert stsd[position] == tag
        position += 1
        size = 0
        while True:
            size = size << 7 | stsd[position] & 0x7F
            position += 1
            if not stsd[position - 1] & 0x80:
                break
        seen[tag] = size
        position += skip
    assert stsd[position : position + length] == config
    assert stsd[position + length :] == b"\6\1\2"
    assert seen[5] == length
