"""The demonstration stream: a new installation has something to play, for ever and without a seam."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.demo import DemoStream
from ems.demo_clip import CLIP_SECONDS, Clip, ClipError, obtain_clip, read_clip
from ems.errors import CommandError
from ems.media.frame import SECOND, Frame
from ems.media.track import Kind, Track

pytestmark = pytest.mark.xdist_group("demo")
"""They share a clip that takes seconds to make."""

AUDIO_STEP = 1024 * SECOND / 32_000


class Stream:
    """Keeps what it is given, with the time at which it came."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tracks: tuple[Track, ...] = ()
        self.arrivals: list[tuple[float, Frame]] = []
        self.end_reason = ""

    def set_tracks(self, tracks: tuple[Track, ...]) -> None:
        self.tracks = tracks

    def push(self, frame: Frame) -> None:
        self.arrivals.append((self.clock.seconds(), frame))

    def end(self, reason: str) -> None:
        self.end_reason = reason

    def times(self, kind: Kind) -> list[int]:
        return [frame.dts for _, frame in self.arrivals if frame.track.kind is kind]


class Streams:
    """A stream registry with one name in it, or none."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.streams: dict[str, Stream] = {}

    def register(self, name: str, *, type_tag: str, source: None) -> Stream:
        if name in self.streams:
            raise CommandError(f"Stream name {name} already taken")
        self.streams[name] = Stream(self.clock)
        return self.streams[name]

    def by_name(self, name: str) -> Stream | None:
        return self.streams.get(name)


@pytest.fixture(scope="session")
def made_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip as the server makes it, made once."""
    path = tmp_path_factory.mktemp("demo") / "media" / "demo.mp4"
    obtain_clip(path)
    return path


def at_once(function: Callable[..., Clip], *arguments: Any) -> Deferred[Clip]:
    """Instead of a thread."""
    return maybeDeferred(function, *arguments)


@pytest.fixture
def playing(made_clip: Path) -> tuple[Clock, Streams, DemoStream]:
    """A demonstration that has just begun, on a clock that the test moves."""
    clock = Clock()
    streams = Streams(clock)
    service = DemoStream(clock, streams, made_clip, in_thread=at_once)
    service.startService()
    return clock, streams, service


def run(clock: Clock, seconds: float, step: float = 0.005) -> None:
    """Let time pass in small steps."""
    clock.pump([step] * round(seconds / step))


def test_clip_is_what_viewers_expect(made_clip: Path) -> None:
    """The clip is 720p with a key frame every 2 s and no B-frames, and its sound is exactly as long as its picture."""
    clip = read_clip(made_clip)
    video = [frame for frame in clip.frames if frame.track.kind is Kind.VIDEO]
    audio = [frame for frame in clip.frames if frame.track.kind is Kind.AUDIO]
    assert (clip.tracks[0].width, clip.tracks[0].height) == (1280, 720)
    assert [frame.dts // SECOND for frame in video if frame.keyframe] == list(range(0, CLIP_SECONDS, 2))
    assert all(frame.pts == frame.dts for frame in clip.frames)
    assert clip.duration == CLIP_SECONDS * SECOND == len(video) * SECOND // 30 == round(len(audio) * AUDIO_STEP)
    assert 1_000_000 < made_clip.stat().st_size * 8 / CLIP_SECONDS < 2_000_000


def test_nothing_unfinished_is_left_behind(made_clip: Path) -> None:
    """The media folder holds the clip and nothing else."""
    assert [path.name for path in made_clip.parent.iterdir()] == ["demo.mp4"]


def test_existing_clip_is_kept(made_clip: Path) -> None:
    """A clip is made once; later starts read it, so a clip of one's own may take its place."""
    before = made_clip.stat().st_mtime_ns
    obtain_clip(made_clip)
    assert made_clip.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage"])
def test_damaged_clip_is_made_anew(tmp_path: Path, made_clip: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """A clip that was cut off or overwritten is set aside and made anew."""
    whole = made_clip.read_bytes()
    path = tmp_path / "demo.mp4"
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "garbage": b"\xff" * 1000}[damage])
    monkeypatch.setattr("ems.demo_clip.make_clip", lambda path, cancelled: path.write_bytes(whole))
    assert obtain_clip(path).duration == CLIP_SECONDS * SECOND
    assert (tmp_path / "demo.mp4.damaged").exists()


def test_frames_come_at_their_time(playing: tuple[Clock, Streams, DemoStream]) -> None:
    """The stream is live: each frame comes when it is due, however long it has been running."""
    clock, streams, _ = playing
    run(clock, 60)
    stream = streams.streams["demo"]
    assert len(stream.tracks) == 2
    for arrival, frame in stream.arrivals:
        assert 0 <= arrival - frame.dts / SECOND < 0.011


def test_the_loop_has_no_seam(playing: tuple[Clock, Streams, DemoStream]) -> None:
    """Where the clip begins again, neither picture nor sound jumps or rests."""
    clock, streams, _ = playing
    run(clock, 2.1 * CLIP_SECONDS)
    stream = streams.streams["demo"]
    for kind, step in ((Kind.VIDEO, SECOND / 30), (Kind.AUDIO, AUDIO_STEP)):
        times = stream.times(kind)
        assert all(abs(later - earlier - step) <= 1 for earlier, later in pairwise(times))


def test_short_stall_is_caught_up(playing: tuple[Clock, Streams, DemoStream]) -> None:
    """After half a second in which nothing could run, what is due comes at once and nothing is missing."""
    clock, streams, _ = playing
    run(clock, 5)
    clock.advance(0.5)
    stream = streams.streams["demo"]
    assert stream.arrivals[-1][1].dts / SECOND == pytest.approx(5.5, abs=0.03)


def test_long_stall_is_not_made_up_for(playing: tuple[Clock, Streams, DemoStream]) -> None:
    """After a minute in which nothing could run, viewers are not flooded: the stream goes on where it was."""
    clock, streams, _ = playing
    run(clock, 5)
    stream = streams.streams["demo"]
    before = len(stream.arrivals)
    clock.advance(60)
    assert len(stream.arrivals) - before < 5
    run(clock, 1)
    assert stream.times(Kind.VIDEO)[-1] / SECOND == pytest.approx(6, abs=0.1)
    assert len(stream.times(Kind.VIDEO)) == len(set(stream.times(Kind.VIDEO)))


def test_stop_ends_the_stream(playing: tuple[Clock, Streams, DemoStream]) -> None:
    """A stopping server ends its demonstration and leaves no timer behind."""
    clock, streams, service = playing
    service.stopService()
    assert streams.streams["demo"].end_reason
    assert clock.getDelayedCalls() == []


def test_stream_that_was_shut_down_stays_away(playing: tuple[Clock, Streams, DemoStream]) -> None:
    """An operator who shuts the demonstration down is rid of it."""
    clock, streams, _ = playing
    stream = streams.streams.pop("demo")
    run(clock, 1)
    assert len(stream.arrivals) < 5
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("problem", [ClipError("/x/demo.mp4: No space left on device"), ClipError("cannot encode")])
def test_no_clip_is_one_log_line(tmp_path: Path, log_events: list[LogEvent], problem: ClipError) -> None:
    """Without room on the disk or an encoder the server says so in one line and goes on."""
    clock = Clock()
    streams = Streams(clock)
    service = DemoStream(clock, streams, tmp_path / "demo.mp4", in_thread=lambda *_: fail(problem))
    service.startService()
    assert streams.streams == {}
    assert [event.get("reason") for event in log_events if event.get("log_namespace") == "ems.demo.DemoStream"] == [str(problem)]


def test_taken_name_is_one_log_line(made_clip: Path, log_events: list[LogEvent]) -> None:
    """Somebody who publishes under the name first keeps it."""
    clock = Clock()
    streams = Streams(clock)
    publisher = streams.register("demo", type_tag="INR", source=None)
    DemoStream(clock, streams, made_clip, in_thread=at_once).startService()
    assert publisher.arrivals == []
    assert any("already taken" in str(event.get("reason")) for event in log_events)


def test_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    """The reason why there is no clip names the file and the trouble."""
    (tmp_path / "media").write_text("a file where a folder should be")
    with pytest.raises(ClipError, match="media"):
        obtain_clip(tmp_path / "media" / "demo.mp4")


def test_making_can_be_broken_off(tmp_path: Path) -> None:
    """A server that is stopped while it makes the clip stops at once and leaves nothing behind."""
    with pytest.raises(ClipError, match="stopped"):
        obtain_clip(tmp_path / "demo.mp4", cancelled=lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_foreign_clip_of_another_kind_is_left_alone(tmp_path: Path, clip: Callable[[str], Path]) -> None:
    """A file that is whole but has no H.264 in it is refused, and stays where it is."""
    path = tmp_path / "demo.mp4"
    path.write_bytes(clip("aac_only").read_bytes())
    with pytest.raises(ClipError, match=r"no H\.264"):
        obtain_clip(path)
    assert path.exists()


def test_own_clip_with_b_frames_plays(tmp_path: Path, clip: Callable[[str], Path]) -> None:
    """A clip of one's own loops, too: its decoding times begin at 0 and no picture is shown before it is decoded."""
    own = read_clip(clip("h264_bframes_aac"))
    assert own.frames[0].dts == 0
    assert all(frame.pts >= frame.dts for frame in own.frames)
