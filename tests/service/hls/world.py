"""A server in memory that writes HLS at once, whenever a frame is pushed; real pictures and sounds; and what is on the disk."""

import io
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import av
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from ems.api.arguments import bind
from ems.api.commands import http_streaming
from ems.api.request import parse_request
from ems.config import Application
from ems.config.store import Store
from ems.demo_clip import Clip, read_clip
from ems.events.event import Event
from ems.formats import m3u8
from ems.formats.m3u8 import MediaPlaylist, Segment
from ems.jobs.service import JobService
from ems.media.aac import ADTS_HEADER_SIZE
from ems.media.frame import SECOND, Frame
from ems.media.nal import split_annexb, split_lengths
from ems.media.track import Kind, Track
from ems.segmenters.hls.job import HlsJobs
from ems.server import Server
from ems.streams.inbound import InboundStream
from ems.testing import testing_server
from tests.clips import clip
from tests.service.hls import playlist_rules
from tests.service.jobs.fakes import result_of

EPOCH = 1_700_000_000
"""Where the clock of these tests begins, in seconds since 1970."""

CREATE = next(command for command in http_streaming.HTTP_STREAMING.commands() if command.name == "createHLSStream")


class Unit(NamedTuple):
    """What tells an access unit from all others: its kind and its last NAL unit or its frame of sound."""

    kind: str
    data: bytes


@lru_cache(maxsize=8)
def source(name: str = "h264_aac") -> Clip:
    """Tracks and frames of a clip, of 30 s with a key frame each second."""
    return read_clip(clip(name))


def looped(frames: Iterable[Frame], *, after: int = 0) -> Iterator[Frame]:
    """The same frames later."""
    return (frame._replace(dts=frame.dts + after, pts=frame.pts + after) for frame in frames)


def seconds_of(clip: Clip, start: float, end: float) -> list[Frame]:
    """The frames of some seconds, in the order of their times."""
    frames = sorted(clip.frames, key=lambda frame: frame.dts)
    return [frame for frame in frames if start * SECOND <= frame.dts < end * SECOND]


def unit_of(frame: Frame) -> Unit:
    """The identity of a frame of the source."""
    video = frame.track.kind is Kind.VIDEO
    return Unit(frame.track.kind.value, split_lengths(frame.data)[-1] if video else frame.data)


class SlowDisk:
    """Does what it is asked at once; while it is `busy`, not before it is told to `go_on`."""

    def __init__(self) -> None:
        self.busy = False
        self._waiting: deque[tuple[Deferred[Any], tuple[Any, ...]]] = deque()

    def __call__(self, *call: Any) -> "Deferred[Any]":
        if not self.busy:
            return maybeDeferred(*call)
        done: Deferred[Any] = Deferred()
        self._waiting.append((done, call))
        return done

    def go_on(self) -> None:
        """All that has been asked is done, in order."""
        self.busy = False
        while self._waiting:
            done, call = self._waiting.popleft()
            maybeDeferred(*call).chainDeferred(done)


class World:
    """The server. Frames come when the test pushes them, and then it is their time; files are written in that very moment."""

    def __init__(self, folder: Path, monkeypatch: Any, application: Application | None = None) -> None:
        monkeypatch.setattr(http_streaming, "deferToThread", maybeDeferred)
        self.folder = folder
        self.disk: Callable[..., Any] = maybeDeferred
        self.clock = Clock()
        self.clock.advance(EPOCH)
        self._application = application or Application(name="ems")
        self._bases: dict[int, float] = {}
        self.events: list[Event] = []
        self.server = self._start()

    def _start(self) -> Server:
        server = testing_server(self.clock, self._application, runtime=self.folder)
        server.jobs.stopService()
        store = Store(self.folder / "pushPullSetup.xml", in_thread=maybeDeferred)
        server.jobs = JobService(server, pullers={}, pushers={}, store=store, in_thread=maybeDeferred)
        server.jobs.makers["hls"] = HlsJobs(server, self._in_thread)
        server.jobs.startService()
        server.events.subscribe(self.events.append)
        return server

    def restart(self, *, kill: bool = False) -> None:
        """End the server, in order or as a power cut would, and start it again."""
        if kill:
            self.disk = lambda *call: None  # nothing reaches the disk any more
        self.server.jobs.stopService()
        self.disk = maybeDeferred
        self.server = self._start()

    def _in_thread(self, *call: Any) -> Any:
        return self.disk(*call)

    def create(self, parameters: str) -> dict[str, Any]:
        """The answer to createHLSStream with these parameters. Raises `CommandError`."""
        arguments = bind(CREATE, parse_request(f"createHLSStream {parameters}"))
        assert CREATE.run is not None
        answer: dict[str, Any] = result_of(CREATE.run(self.server, arguments))
        return answer

    def publish(self, name: str = "cam", tracks: tuple[Track, ...] | None = None) -> InboundStream:
        """A source comes."""
        stream = self.server.streams.register(name, type_tag="INR", source=None)
        self._bases[stream.id] = self.clock.seconds()
        stream.set_tracks(source().tracks if tracks is None else tracks)
        return stream

    def push(self, stream: InboundStream, frames: Iterable[Frame]) -> list[Frame]:
        """Frames come, each in its time; gives them back."""
        pushed = []
        for frame in frames:
            self.clock.advance(max(0.0, self._bases[stream.id] + frame.dts / SECOND - self.clock.seconds()))
            stream.push(frame)
            pushed.append(frame)
        return pushed


def media_playlist(path: Path) -> MediaPlaylist:
    """A playlist that has been found to be right: see `check_playlist`."""
    playlist = m3u8.read_media_playlist(path.read_bytes())
    assert len(playlist_rules.read(path).entries) == len(playlist.segments)
    check_playlist(playlist, path.parent)
    return playlist


def check_playlist(playlist: MediaPlaylist, folder: Path) -> None:
    """AssertionError when players would stumble over it (RFC 8216 §4.3 and §6.2.1)."""
    names = [(segment.uri, segment.byte_range) for segment in playlist.segments]
    assert len(set(names)) == len(names), "a segment is listed twice"
    for segment in playlist.segments:
        assert segment.gap or (folder / unquote(segment.uri)).is_file(), f"{segment.uri} is not there"
        assert m3u8.rounded(segment.duration) <= playlist.target_duration
        assert segment.duration > 0
        if segment.byte_range is not None:
            end = segment.byte_range.offset + segment.byte_range.length
            assert end <= (folder / unquote(segment.uri)).stat().st_size
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def segment_data(segment: Segment, folder: Path) -> bytes:
    """What a player gets for a segment, its initialisation segment before it."""
    data = (folder / unquote(segment.uri)).read_bytes()
    if segment.byte_range is not None:
        data = data[segment.byte_range.offset :][: segment.byte_range.length]
    return ((folder / unquote(segment.map_uri)).read_bytes() if segment.map_uri else b"") + data


def units(path: Path, playlist: MediaPlaylist | None = None) -> list[Unit]:
    """All access units of a playlist, segment by segment."""
    segments = (playlist or media_playlist(path)).segments
    return [*chain.from_iterable(units_of(segment_data(segment, path.parent)) for segment in segments if not segment.gap)]


def units_of(data: bytes) -> list[Unit]:
    """The access units of one segment, as ffmpeg finds them."""
    found = []
    with av.open(io.BytesIO(data)) as container:
        lengths = "mp4" in container.format.name
        for packet in container.demux():
            content = bytes(packet)
            if not content:
                continue
            if packet.stream.type == "video":
                found.append(Unit("video", (split_lengths if lengths else split_annexb)(content)[-1]))
            else:
                found.append(Unit("audio", content if lengths else content[ADTS_HEADER_SIZE:]))
    return found


def assert_every_unit_once(found: list[Unit], pushed: list[Frame], *, kinds: tuple[str, ...] = ("video", "audio")) -> None:
    """AssertionError unless each track is there whole, in order, but for what is not in a segment at the very end."""
    for kind in kinds:
        expected = [unit for unit in map(unit_of, pushed) if unit.kind == kind]
        got = [unit for unit in found if unit.kind == kind]
        assert got == expected, f"{kind}: {len(got)} of {len(expected)}"


def decode(data: bytes) -> None:
    """AssertionError when ffmpeg does not decode every bit of a segment without complaint."""
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", "-", "-f", "null", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()


def renamed(frames: Iterable[Frame], new: Track) -> list[Frame]:
    """The frames with another track in the place of that of the same id."""
    return [frame._replace(track=new) if frame.track.id == new.id else frame for frame in frames]
