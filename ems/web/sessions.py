"""Viewers of segmented streams: HTTP has no connection for a viewer, so a session is made of the files that one asks for.

The first manifest that a client fetches begins a session; its key is the address, the manifest's folder and the User-Agent.
What it fetches from that folder and those below keeps the session alive. It ends `MISSED_CHUNKS` chunk lengths after the last
request; the length of a chunk is what the manifest says.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import localtime, strftime, time
from typing import Any

from twisted.logger import Logger

from ems.api.command import Json

MISSED_CHUNKS = 3
"""A player that has not asked for three chunks in a row is gone."""

DEFAULT_CHUNK = 10.0
"""Seconds, where a manifest does not tell: HDS, and a master playlist until its first media playlist is fetched."""

MAX_CHUNK = 3600.0
"""Seconds: the longest that the commands can make."""

MAX_SESSIONS = 50_000
"""About 40 MB. Viewers beyond them are served, but not counted; a client can invent as many as it likes."""

MAX_AGENT = 256
"""Characters of a User-Agent that tell clients of one address apart."""

LOOKED_AT = 16_384
"""Bytes of a manifest in which its chunk length is looked for: it stands at the beginning."""

MAX_DEPTH = 8
"""Folders above a file in which its session is looked for: a group has two levels."""

TARGET_DURATION = re.compile(rb"#EXT-X-TARGETDURATION:\s*(\d{1,6}(?:\.\d{1,6})?)")
MPD_DURATION = re.compile(rb'maxSegmentDuration="PT(\d{1,6}(?:\.\d{1,6})?)S"')
MPD_TIMESCALE = re.compile(rb'\btimescale="(\d{1,10})"')
MPD_LENGTH = re.compile(rb'<S [^>]*\bd="(\d{1,15})"|<SegmentTemplate [^>]*\bduration="(\d{1,15})"')
MSS_TIMESCALE = re.compile(rb'\bTimeScale="(\d{1,10})"')
MSS_LENGTH = re.compile(rb'<c [^>]*\bd="(\d{1,15})"')

Emit = Callable[[str, Mapping[str, Any]], None]


def chunk_length(stream_type: str, manifest: bytes) -> float | None:
    """Seconds of a chunk by the beginning of a manifest; None when it does not say."""
    head = manifest[:LOOKED_AT]
    seconds: float | None = None
    if stream_type == "hls":
        seconds = _number(TARGET_DURATION.search(head))
    elif stream_type == "dash":
        seconds = _number(MPD_DURATION.search(head)) or _ratio(MPD_LENGTH.search(head), MPD_TIMESCALE.search(head), 1)
    elif stream_type == "mss":
        seconds = _ratio(MSS_LENGTH.search(head), MSS_TIMESCALE.search(head), 10_000_000)
    return min(max(seconds, 1.0), MAX_CHUNK) if seconds else None


def _number(match: re.Match[bytes] | None) -> float | None:
    if match is None:
        return None
    return float(next(group for group in match.groups() if group is not None))


def _ratio(length: re.Match[bytes] | None, timescale: re.Match[bytes] | None, usual: int) -> float | None:
    ticks = _number(length)
    return ticks / (_number(timescale) or usual) if ticks else None


def local_time(seconds: float) -> str:
    """A time in seconds since 1970 as the events of the web server write it: ``2024-05-06T07-08-09``, local."""
    return strftime("%Y-%m-%dT%H-%M-%S", localtime(seconds))


@dataclass(slots=True, eq=False)
class StreamingSession:
    """One viewer. `started` is in seconds since 1970, `last_seen` in the clock's; `active` counts answers under way.

    `folder` is that of the first manifest, `newest_folder` that of the newest file: below a group, that of the stream watched.
    """

    id: int
    client_ip: str
    folder: str
    playlist: str
    alias: str
    started: float
    last_seen: float
    chunk_length: float = DEFAULT_CHUNK
    active: int = 0
    bytes_sent: int = 0
    newest_folder: str = ""

    def is_over(self, now: float) -> bool:
        """Whether the viewer has gone without a word."""
        return not self.active and now - self.last_seen >= MISSED_CHUNKS * self.chunk_length

    @property
    def event(self) -> dict[str, Any]:
        """What the events tell of it."""
        return {
            "clientIP": self.client_ip,
            "sessionId": self.id,
            "playlist": self.playlist,
            "startTime": local_time(self.started),
        }


class StreamingSessions:
    """All sessions. `now` tells the time in any seconds that never go back, `on_end` is told of each that is over."""

    log = Logger()

    def __init__(self, now: Callable[[], float], emit: Emit, on_end: Callable[[StreamingSession], None] | None = None) -> None:
        self._now = now
        self._emit = emit
        self._on_end = on_end
        self._sessions: dict[tuple[str, str, str], StreamingSession] = {}
        self._aliased: dict[str, list[StreamingSession]] = {}
        self._made = 0
        self._full = False

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[StreamingSession]:
        return iter(self._sessions.values())

    def count(self, group: str = "") -> int:
        """The viewers; with `group` those who watch something whose folder has that name or is below one that has."""
        return sum(1 for _ in self._of_group(group))

    def by_folder(self, group: str = "") -> Counter[str]:
        """The viewers of each folder, by the newest file that they have fetched; `group` as for `count`."""
        return Counter(session.newest_folder for session in self._of_group(group))

    def _of_group(self, group: str) -> Iterator[StreamingSession]:
        return (session for session in self if not group or group in Path(session.folder).parts)

    def described(self) -> list[Json]:
        """The sessions as the runtime API lists them."""
        now = time()
        return [
            {
                "sessionId": session.id,
                "clientIP": session.client_ip,
                "startTime": local_time(session.started),
                "elapsedTime": int(now - session.started),
                "targetFolder": session.folder,
                "bytesSent": session.bytes_sent,
            }
            for session in self
        ]

    def find(self, ip: str, agent: str, path: str) -> StreamingSession | None:
        """The session to which a request for this file belongs, which is alive with it."""
        folder, agent = path, agent[:MAX_AGENT]
        for _ in range(MAX_DEPTH):
            folder = folder.rpartition("/")[0]
            session = self._sessions.get((ip, folder, agent))
            if session is not None:
                session.last_seen = self._now()
                return session
            if not folder:
                break
        return None

    def begin(self, ip: str, agent: str, playlist: str, *, alias: str = "") -> StreamingSession | None:
        """The session that begins with this manifest; None when there are too many."""
        if len(self._sessions) >= MAX_SESSIONS:
            if not self._full:
                self.log.warn("{count} viewers over HTTP: more are served but not counted", count=MAX_SESSIONS)
            self._full = True
            return None
        self._made += 1
        folder = playlist.rpartition("/")[0]
        session = StreamingSession(self._made, ip, folder, playlist, alias, time(), self._now())
        self._sessions[_key(session, agent)] = session
        if alias:
            self._aliased.setdefault(ip, []).append(session)
        self._emit("streamingSessionStarted", session.event)
        return session

    def of_alias(self, ip: str, alias: str) -> StreamingSession | None:
        """The session of an alias, which is alive with the request."""
        for session in self._aliased.get(ip, ()):
            if session.alias == alias:
                session.last_seen = self._now()
                return session
        return None

    def aliased(self, ip: str) -> list[StreamingSession]:
        """The sessions that one address has by aliases, the newest first."""
        return self._aliased.get(ip, [])[::-1]

    def touch(self, session: StreamingSession) -> None:
        """The viewer has just taken something."""
        session.last_seen = self._now()

    def tick(self) -> None:
        """End the sessions that are over; called about once a second."""
        now = self._now()
        for key in [key for key, session in self._sessions.items() if session.is_over(now)]:
            self._end(key)

    def end_all(self) -> None:
        """The server stops: all viewers are gone."""
        for key in [*self._sessions]:
            self._end(key)

    def _end(self, key: tuple[str, str, str]) -> None:
        session = self._sessions.pop(key)
        self._full = False
        if session.alias:
            others = self._aliased[session.client_ip]
            others.remove(session)
            if not others:
                del self._aliased[session.client_ip]
        self._emit("streamingSessionEnded", {**session.event, "stopTime": local_time(time())})
        if self._on_end is not None:
            self._on_end(session)


def _key(session: StreamingSession, agent: str) -> tuple[str, str, str]:
    if session.alias:
        return session.client_ip, f"{session.folder},{session.alias}", ""
    return session.client_ip, session.folder, agent[:MAX_AGENT]
