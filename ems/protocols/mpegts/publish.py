"""A transport stream that comes in, as an inbound stream: parsed or untouched."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Any

from ems.formats.mpegts.clock import SampleClock
from ems.formats.mpegts.demux import TsDemuxer
from ems.formats.mpegts.events import Event, ProgramFound, Sample, TracksFound
from ems.media.frame import Frame
from ems.protocols.mpegts.mapping import UNTOUCHED, parsed_report, unreadable, untouched_report
from ems.protocols.mpegts.wire import PacketReader
from ems.streams.inbound import InboundStream

DETAIL = "transportStream"
"""The key of a stream object under which the counters are."""

Register = Callable[[str], InboundStream]
"""Makes the inbound stream, given its type. Raises `CommandError` when there is no place for it."""


class Publication(ABC):
    """Bytes in, frames out. The inbound stream is registered when there is something to put into it; until then it is None."""

    def __init__(self, register: Register) -> None:
        self.stream: InboundStream | None = None
        self._register = register

    @abstractmethod
    def receive(self, data: bytes) -> None:
        """The next bytes. Raises `MalformedData` when this is no transport stream, `CommandError` when it finds no place."""

    @abstractmethod
    def report(self) -> dict[str, Any]:
        """What is told of the source in the stream's object."""

    @abstractmethod
    def lacking(self) -> str:
        """Why there is no stream yet."""

    def tell(self) -> None:
        """Bring the stream's object up to date."""
        if self.stream is not None:
            self.stream.details[DETAIL] = self.report()

    def flush(self) -> None:
        """Nothing more comes: what is still held goes out."""

    def close(self, reason: str) -> None:
        """The source is gone."""
        self.flush()
        self.tell()
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.end(reason)


class Parsed(Publication):
    """The first program of the source, as frames of its tracks (type INTS)."""

    def __init__(self, register: Register) -> None:
        super().__init__(register)
        self._demuxer = TsDemuxer()
        self._clock = SampleClock()
        self._program: ProgramFound | None = None

    def receive(self, data: bytes) -> None:
        events = self._demuxer.receive(data)
        if events:
            self._take(events)

    def report(self) -> dict[str, Any]:
        return parsed_report(self._demuxer.statistics, self._program)

    def lacking(self) -> str:
        return unreadable(self._program) if self._program is not None else "no program of a transport stream"

    def flush(self) -> None:
        if self.stream is not None:
            self._take(self._demuxer.flush())

    def _take(self, events: Sequence[Event]) -> None:
        arrival = monotonic_ns()
        self._clock.begin(events)
        for event in events:
            if isinstance(event, Sample):
                self._push(self._clock.frame(event, arrival))
            elif isinstance(event, TracksFound):
                if self.stream is None:
                    self.stream = self._register("INTS")
                    self.tell()
                self.stream.set_tracks(event.tracks)
            elif isinstance(event, ProgramFound):
                self._program = event

    def _push(self, frame: Frame | None) -> None:
        # An observer of the stream may have closed it, and with it the connection.
        if frame is not None and self.stream is not None:
            self.stream.origin = self._clock.timeline.origin
            self.stream.push(frame)


class Untouched(Publication):
    """The packets of the source as they are (type INS). The times of the frames are those at which they came."""

    def __init__(self, register: Register) -> None:
        super().__init__(register)
        self._reader = PacketReader()
        self._began = 0

    def receive(self, data: bytes) -> None:
        packets = self._reader.receive(data)
        if not packets:
            return
        now = monotonic_ns()
        if self.stream is None:
            self._began = now
            self.stream = self._register("INS")
            self.stream.set_tracks((UNTOUCHED,))
            self.tell()
        time = now - self._began
        self.stream.push(Frame(UNTOUCHED, time, time, False, packets))

    def report(self) -> dict[str, Any]:
        return untouched_report(self._reader)

    def lacking(self) -> str:
        return "no transport packets"
