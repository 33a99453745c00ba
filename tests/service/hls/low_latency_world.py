"""A server in memory that writes streams as HLS, sources of numbered frames, and a player that follows a playlist by waiting."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.task import Clock

from ems.config import Application
from ems.media import aac, h264
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.published import PublishedFile, Unavailable
from ems.segmenters.hls.job import HlsJobs
from ems.server import Server
from ems.streams.inbound import InboundStream
from ems.testing import testing_server
from tests.unit.media import vectors
from tests.unit.segmenters.lowlatency_rules import Parsed, check

VIDEO = h264.make_track(1, vectors.AVCC_HIGH)
AUDIO = aac.make_track(2, b"\x11\x90")


def frames(seconds: int, *, rate: int = 25, gop: int = 25, start: int = 0) -> Iterator[Frame]:
    """Picture and sound, in the order of their times; every access unit is another."""
    pictures = (number * SECOND // rate for number in range(rate * seconds))
    sounds = (number * 1024 * SECOND // 48000 for number in range(48000 * seconds // 1024))
    both = [(time, VIDEO, index % gop == 0) for index, time in enumerate(pictures)]
    both += [(time, AUDIO, True) for time in sounds]
    for time, track, key in sorted(both, key=lambda one: (one[0], one[1].id)):
        slice_type = b"\x65" if key else b"\x41"
        nal = slice_type + f"{time} and some more bytes so that it is long enough to be encrypted".encode() * 2
        data = len(nal).to_bytes(4, "big") + nal if track is VIDEO else f"sound {time}".encode() * 8
        yield Frame(track, start + time, start + time, key, data)


class World:
    """A server whose clock goes with the frames that are pushed, and whose files are written at once."""

    def __init__(self, folder: Path, application: Application = Application(name="ems")) -> None:  # noqa: B008
        self.folder = folder
        self.clock = Clock()
        self.server: Server = testing_server(self.clock, application, runtime=folder)
        self.server.jobs.makers["hls"] = HlsJobs(self.server, maybeDeferred)
        self._ids = count(1)

    def write(self, name: str, **settings: Any) -> Any:
        """Have a stream written, as createHLSStream would; gives the job. Raises what the command answers."""
        own = {
            "localStreamName": name,
            "groupName": "group",
            "groupTargetFolder": f"{self.folder / 'group'}/",
            "targetFolder": str(self.folder / "group" / name),
            "chunkLength": 1,
            "playlistType": "rolling",
            "hlsVersion": 6,
            **settings,
        }
        return result_of(self.server.jobs.add("hls", [own]))[0]

    def publish(self, name: str) -> InboundStream:
        """A source comes."""
        stream = self.server.streams.register(name, type_tag="INEXT", source=None)
        stream.set_tracks((VIDEO, AUDIO))
        return stream

    def push(self, stream: InboundStream, frame: Frame) -> None:
        """A frame comes in its time."""
        self.clock.advance(max(0.0, frame.dts / SECOND - self.clock.seconds()))
        stream.push(frame)

    def path(self, name: str, file: str = "playlist.m3u8") -> Path:
        """Where a file of a stream is."""
        return self.folder / "group" / name / file

    def ask(self, name: str, file: str = "playlist.m3u8", **query: str) -> "Request":
        """Ask for a file as the web server does."""
        return Request(self, self.path(name, file), query)


class Request:
    """A request: `data` when it has been answered, `status` when it has been refused, neither while it waits."""

    def __init__(self, world: World, path: Path, query: dict[str, str]) -> None:
        self.data: bytes | None = None
        self.status = 0
        published = world.server.published
        live, ready = published.live(path), published.get(path)
        if live is not None:
            done: Deferred[PublishedFile] = ensureDeferred(live.answer(query))  # type: ignore[arg-type]
            done.addCallbacks(self._answered, lambda failure: setattr(self, "status", failure.value.status))
        elif ready is not None:
            self.data = ready.data
        else:
            self.status = Unavailable(404, "not there").status

    @property
    def text(self) -> str:
        """The answer as text; AssertionError when there is none."""
        assert self.data is not None, f"status {self.status}"
        return self.data.decode()

    def _answered(self, file: PublishedFile) -> None:
        self.data = file.data


class Player:
    """Follows a playlist by blocking reload, one request after the other, and fetches every part as soon as it is hinted at."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._reload: Request | None = None
        self._hinted: dict[str, Request] = {}
        self.playlists: list[Parsed] = []
        self.parts: list[str] = []
        self.waits: list[int] = []

    def step(self) -> None:
        """Take what has come, and ask for what comes next."""
        while self._reload is None or self._reload.data is not None:
            if self._reload is not None:
                self._read(check(self._reload.text))
            if self.playlists and self.playlists[-1].ended:
                return
            msn, part = self.playlists[-1].following if self.playlists else (None, None)
            query = {} if msn is None else {"_HLS_msn": str(msn), "_HLS_part": str(part)}
            if self._world.server.published.live(self._world.path(self._name)) is None:
                return
            self._reload = self._world.ask(self._name, **query)
        assert not self._reload.status

    def _read(self, playlist: Parsed) -> None:
        self.playlists.append(playlist)
        for number in sorted(playlist.parts):
            for part in playlist.parts[number]:
                if part["URI"] not in self.parts:
                    self.parts.append(part["URI"])
        if playlist.hint and playlist.hint not in self._hinted:
            self._hinted[playlist.hint] = self._world.ask(self._name, playlist.hint)

    def content(self, uri: str) -> bytes:
        """What the hinted request for this part has brought."""
        data = self._hinted[uri].data
        assert data is not None, uri
        return data


def result_of(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing; raises what it raises."""
    outcome: list[Any] = []
    done: Deferred[Any] = ensureDeferred(coroutine)
    done.addBoth(outcome.append)
    if hasattr(outcome[0], "raiseException"):
        outcome[0].raiseException()
    return outcome[0]


__all__ = ["AUDIO", "MILLISECOND", "VIDEO", "Player", "Request", "World", "frames", "result_of"]
