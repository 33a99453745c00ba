"""Cutting an unfinished segment into parts: the rules of RFC 8216bis §4.4.4.9, at any frame rate."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.segmenters.hls.lowlatency_parts import Part, PartCutter

VIDEO = Track(1, Kind.VIDEO, Codec.H264)
AUDIO = Track(2, Kind.AUDIO, Codec.AAC, sample_rate=48000)
TARGET = 200 * MILLISECOND


def video(times: Iterable[int], gop: int = 1000) -> list[Frame]:
    return [Frame(VIDEO, time, time, number % gop == 0, b"picture") for number, time in enumerate(times)]


def audio(end: int, start: int = 0) -> list[Frame]:
    times = [number * 1024 * SECOND // 48000 for number in range(end * 48000 // 1024 // SECOND + 1)]
    return [Frame(AUDIO, time, time, True, b"sound") for time in times if start <= time < end]


def interleaved(*tracks: list[Frame]) -> list[Frame]:
    return sorted((frame for frames in tracks for frame in frames), key=lambda frame: frame.dts)


def cut(frames: list[Frame], end: int, target: int = TARGET, tracks: tuple[Track, ...] = (VIDEO, AUDIO)) -> list[Part]:
    """The parts of one segment from 0 to `end`."""
    cutter = PartCutter(tracks, target)
    cutter.begin(0)
    parts = [part for frame in frames for part in cutter.frame(frame)]
    return parts + cutter.end(end)


def frames_of(parts: list[Part], track: Track) -> list[Frame]:
    return [frame for part in parts for frame in part.frames if frame.track == track]


def check_rules(parts: list[Part], end: int, target: int = TARGET) -> None:
    durations = [part.end - part.start for part in parts]
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert 0 <= end - parts[-1].end <= 0.15 * target
    assert all(duration <= target for duration in durations)
    assert all(duration >= 0.85 * target for duration in durations[:-1])


@pytest.mark.parametrize("rate", [5, 12, 15, 24, 25, 30, 50, 59.94, 60])
def test_part_durations_keep_the_rules_at_every_frame_rate(rate: float) -> None:
    """No part is longer than the part target, and only the last of a segment is shorter than 85 % of it."""
    frames = interleaved(video(round(number * 1000 / rate) * MILLISECOND for number in range(int(2 * rate))), audio(2 * SECOND))
    parts = cut(frames, 2 * SECOND)
    check_rules(parts, 2 * SECOND)
    assert frames_of(parts, VIDEO) == [frame for frame in frames if frame.track == VIDEO]
    assert frames_of(parts, AUDIO) == [frame for frame in frames if frame.track == AUDIO]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=60), st.integers(100, 1000))
@settings(max_examples=80, deadline=None)
def test_irregular_sources_keep_the_rules_too(gaps: list[int], target_ms: int) -> None:
    """However uneven the pictures come, every frame is in exactly one part, in order, and the durations are right."""
    times = [sum(gaps[:number]) * MILLISECOND for number in range(len(gaps))]
    end = sum(gaps) * MILLISECOND
    frames = interleaved(video(times), audio(end))
    parts = cut(frames, end, target_ms * MILLISECOND)
    check_rules(parts, end, target_ms * MILLISECOND)
    assert frames_of(parts, VIDEO) + frames_of(parts, AUDIO) == sorted(frames, key=lambda frame: frame.track.id)


def test_a_part_is_ready_with_the_first_frames_behind_it() -> None:
    """At 25 pictures a second, parts of 200 ms have five pictures each and are out when the sixth comes."""
    cutter = PartCutter((VIDEO,), TARGET)
    cutter.begin(0)
    ready = [len(cutter.frame(frame)) for frame in video(range(0, SECOND, 40 * MILLISECOND))]
    assert ready == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_sound_and_picture_are_cut_at_the_same_instant() -> None:
    """A part has the sound that begins while its pictures are shown."""
    for part in cut(interleaved(video(range(0, SECOND, 40 * MILLISECOND)), audio(SECOND)), SECOND):
        assert all(part.start <= frame.dts < part.end for frame in part.frames)


def test_sound_that_comes_late_is_not_lost() -> None:
    """A frame whose part is gone already is in the next one."""
    pictures = video(range(0, SECOND, 40 * MILLISECOND))
    late = sorted([*pictures, *audio(SECOND)], key=lambda frame: frame.dts + (150 * MILLISECOND if frame.track == AUDIO else 0))
    parts = cut(late, SECOND)
    check_rules(parts, SECOND)
    assert frames_of(parts, AUDIO) == audio(SECOND)


def test_pictures_that_stand_still_do_not_hold_up_the_sound() -> None:
    """While a camera sends no picture, parts with its sound go on."""
    cutter = PartCutter((VIDEO, AUDIO), TARGET)
    cutter.begin(0)
    parts = [part for frame in [*video([0]), *audio(SECOND)] for part in cutter.frame(frame)]
    assert [part.end for part in parts] == [TARGET, 2 * TARGET, 3 * TARGET, 4 * TARGET]
    assert [{frame.track for frame in part.frames} for part in parts] == [{VIDEO, AUDIO}, {AUDIO}, {AUDIO}, {AUDIO}]


def test_a_hole_in_a_video_stream_is_listed_as_gaps() -> None:
    """Between two pictures a second apart the parts without any picture are empty, and the time is still told in full."""
    parts = cut(video([0, SECOND]), SECOND + TARGET, tracks=(VIDEO,))
    assert [bool(part.frames) for part in parts] == [True, False, False, False, False, True]
    check_rules(parts, SECOND + TARGET)


def test_only_parts_with_a_key_frame_are_independent() -> None:
    """Players begin in parts with a key frame; without video in any part."""
    parts = cut(interleaved(video(range(0, SECOND, 40 * MILLISECOND), gop=10), audio(SECOND)), SECOND)
    assert [part.independent for part in parts] == [True, False, True, False, True]
    assert all(part.independent for part in cut(audio(SECOND), SECOND, tracks=(AUDIO,)))


def test_the_last_frame_may_outlast_the_last_part() -> None:
    """What is left of the last frame when its part is full is no part of its own, which would be one without frames."""
    pictures = video(range(0, 400 * MILLISECOND, 40 * MILLISECOND))
    assert [part.end for part in cut(pictures, 2 * TARGET + 8 * MILLISECOND, tracks=(VIDEO,))] == [TARGET, 2 * TARGET]
