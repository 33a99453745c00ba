"""Transport packets to access units (ISO/IEC 13818-1), from any bytes that come in: UDP, TCP, files.

`TsDemuxer.receive` is given bytes, cut anywhere, and gives `Event` values::

    demuxer = TsDemuxer()
    for event in demuxer.receive(data):
        match event:
            case TracksFound(tracks): ...
            case Sample(track, dts_ticks, pts_ticks, keyframe, data): ...

It follows one program, the first of the PAT or the one of `program_number`. Lost and damaged packets cost the access unit that
they belong to and are counted in `statistics`; nothing that a stream says raises, but bytes that are no transport stream.

One loop sees every packet. Most go on with the PES packet of the one before, have nothing but payload, and cost a comparison and
an append.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ems.errors import MalformedData
from ems.formats.mpegts import pes, psi
from ems.formats.mpegts.elementary import NOTHING, ElementaryStream, begin, pes_size
from ems.formats.mpegts.events import Discontinuity, Event, ProgramFound, Sample, Scrambled
from ems.formats.mpegts.packets import ADAPTATION, DISCONTINUITY, PAYLOAD, PAYLOAD_SIZE, PCR_FLAG, START, Pid
from ems.formats.mpegts.sounds import MetadataReader
from ems.formats.mpegts.sync import PacketRun, PacketSync
from ems.formats.mpegts.waiting import TrackWaiting
from ems.media.nal import MAX_ACCESS_UNIT

MAX_BUFFERED = 16 * 1024 * 1024
"""Bytes of unfinished PES packets of all streams together: two of the largest access units."""

FAIR_SHARE = 1024 * 1024
"""Bytes that any stream may have of them."""

MAX_SCRAMBLED_PIDS = 64
"""PIDs of which it is told that they are scrambled: no program has more streams that matter."""

_ERROR = 0x8000
_NULL = int(Pid.NULL)
_SCRAMBLED = 0xC0
_LAST_PLAIN = PAYLOAD | 15
_FULL = PAYLOAD_SIZE - 1
_MEANINGFUL = DISCONTINUITY | PCR_FLAG


@dataclass(slots=True)
class Statistics:
    """What went wrong, counted in packets; `malformed` counts tables, PES packets and access units."""

    lost_syncs: int = 0
    transport_errors: int = 0
    continuity_errors: int = 0
    duplicates: int = 0
    scrambled: int = 0
    malformed: int = 0


def _every(stream: psi.Stream) -> bool:
    return True


class TsDemuxer:
    """Reads one program: the first, or the one of this number; of its streams those that `select` wants, by default all.

    `pcr` is the newest program clock reference in ticks of 27 MHz, or None.
    """

    def __init__(self, program_number: int | None = None, select: Callable[[psi.Stream], bool] = _every) -> None:
        self.statistics = Statistics()
        self.pcr: int | None = None
        self._wanted = program_number
        self._select = select
        self._sync = PacketSync()
        self._sections: dict[int, psi.SectionReader] = {Pid.PAT: psi.SectionReader()}
        self._pat_version = NOTHING
        self._number = NOTHING
        self._pmt_pid = NOTHING
        self._program: psi.ProgramMap | None = None
        self._pcr_pid = NOTHING
        self._streams: dict[int, ElementaryStream] = {}
        self._current = ElementaryStream(psi.Stream(Pid.NULL, 0), MetadataReader(Pid.NULL))
        self._scrambled: set[int] = set()
        self._waiting = TrackWaiting()
        self._events: list[Event] = []

    def receive(self, data: bytes) -> list[Event]:
        """What these bytes complete. Raises `MalformedData` when there have been no packets for `MAX_GARBAGE` bytes."""
        for run in self._sync.receive(data):
            self._run(run)
        self.statistics.lost_syncs = self._sync.losses
        events, self._events = self._events, []
        return events

    def flush(self) -> list[Event]:
        """What is still there when nothing more comes."""
        for run in self._sync.flush():
            self._run(run)
        for stream in self._streams.values():
            if stream.parts and not stream.size:
                self._deliver(stream)
            self._tell(stream, stream.reader.end)
        events, self._events = self._events, []
        return events + self._waiting.end()

    def _run(self, run: PacketRun) -> None:
        """A run of whole packets."""
        current = self._current
        append, expected, pid = current.parts.append, current.expected, current.pid
        for ids, flags, payload in run.packets():
            if flags == expected and ids == pid:
                append(payload)
                expected = flags + 1 if flags != _LAST_PLAIN else PAYLOAD
            elif flags == expected + ADAPTATION and ids == pid and payload[0] < _FULL and not payload[1] & _MEANINGFUL:
                append(payload[1 + payload[0] :])
                expected = expected + 1 if expected != _LAST_PLAIN else PAYLOAD
            elif ids & _NULL != _NULL:
                current.expected = expected
                self._settle(current)
                current = self._packet(ids, flags, payload) or current
                append, expected, pid = current.parts.append, current.expected, current.pid
        current.expected = expected
        self._settle(current)
        self._current = current

    def _packet(self, ids: int, flags: int, payload: bytes) -> ElementaryStream | None:
        """Any packet: `ids` are the second and third byte, `flags` the fourth.

        Gives the stream that it belongs to, when the next packets may go on with it.
        """
        pid = ids & 0x1FFF
        if ids & _ERROR:  # not even its PID is certain
            self.statistics.transport_errors += 1
            return None
        if flags & _SCRAMBLED:
            self._drop_scrambled(pid)
            return None
        stream, broken = self._streams.get(pid), False
        if flags & ADAPTATION:
            size = payload[0]
            if size > _FULL:
                self.statistics.malformed += 1
                if stream is not None:
                    stream.lose()
                return None
            broken = bool(size and payload[1] & DISCONTINUITY)
            if size > 6 and payload[1] & PCR_FLAG and pid == self._pcr_pid:
                self._clock(payload)
            payload = payload[1 + size :]
        if not flags & PAYLOAD:
            payload = b""
        goes_on = stream is not None and self._elementary(stream, flags, payload, bool(ids & START), broken)
        if broken and pid == self._pcr_pid:
            self._events.append(Discontinuity(pid))
        if pid in self._sections and payload:
            self._tables(pid, payload, bool(ids & START))
        return stream if goes_on else None

    def _elementary(self, stream: ElementaryStream, flags: int, payload: bytes, starts: bool, broken: bool) -> bool:
        """A packet of a stream that is read; False when nothing can go on with it."""
        counter = flags & 15
        if not flags & PAYLOAD:
            if broken:
                stream.lose()
                stream.counter = NOTHING
            return False
        collecting = stream.expected != NOTHING
        following = stream.expected & 15 if collecting else stream.counter
        if following not in (NOTHING, counter) and not broken:
            if counter == (following - 1) & 15:
                self.statistics.duplicates += 1
                return False
            self.statistics.continuity_errors += 1
            stream.lose()
            collecting = False
        if starts:
            if collecting:
                self._deliver(stream)
            if stream.reader.holds:
                self._tell(stream, partial(stream.reader.begins, payload))
            stream.size = None
            collecting = True
        stream.counter = counter + 1 & 15
        if collecting:
            if payload:
                stream.parts.append(payload)
            stream.expected = PAYLOAD | stream.counter
        return collecting

    def _settle(self, stream: ElementaryStream) -> None:
        """Deliver the PES packet of a stream as soon as it is as long as it says; drop one that gets too long.

        `room` is what its packets have room for: what is stuffed counts for the limits, as each part takes memory.
        """
        if not stream.parts:
            return
        room = len(stream.parts) * PAYLOAD_SIZE
        if stream.size is None:
            stream.size = pes_size(stream.parts)
        if stream.size and room >= stream.size and stream.length() >= stream.size:
            self._deliver(stream)
        elif room > MAX_ACCESS_UNIT or (room > FAIR_SHARE and self._buffered() > MAX_BUFFERED):
            self.statistics.malformed += 1
            stream.lose()

    def _deliver(self, stream: ElementaryStream) -> None:
        """Read the PES packet that a stream has collected."""
        data, size = b"".join(stream.parts), stream.size or 0
        stream.drop()
        try:
            packet = pes.parse(data)
        except MalformedData:
            self.statistics.malformed += 1
            stream.reader.lose()
            return
        if packet.scrambled:
            self._drop_scrambled(stream.pid)
        else:
            self._tell(stream, partial(stream.reader.receive, packet, size))

    def _tell(self, stream: ElementaryStream, read: Callable[[], list[Event]]) -> None:
        """Tell what a reader finds. What it has begun is lost when that is malformed."""
        try:
            found = read()
        except MalformedData:
            self.statistics.malformed += 1
            stream.reader.lose()
            return
        for event in found:
            self._events += self._waiting.receive(event) if isinstance(event, Sample) else (event,)

    def _buffered(self) -> int:
        return sum(len(stream.parts) for stream in self._streams.values()) * PAYLOAD_SIZE

    def _drop_scrambled(self, pid: int) -> None:
        self.statistics.scrambled += 1
        if pid in self._streams:
            self._streams[pid].lose()
            self._streams[pid].counter = NOTHING
        if pid not in self._scrambled and len(self._scrambled) < MAX_SCRAMBLED_PIDS:
            self._scrambled.add(pid)
            self._events.append(Scrambled(pid))

    def _clock(self, field: bytes) -> None:
        """A program clock reference (§2.4.3.5)."""
        base = int.from_bytes(field[2:8], "big")
        self.pcr = (base >> 15) * 300 + (base & 0x1FF)

    def _tables(self, pid: int, payload: bytes, starts: bool) -> None:
        """A packet of the PAT or of the program's PMT."""
        reader = self._sections[pid]
        errors = reader.crc_errors
        for section in reader.receive(payload, starts):
            try:
                if pid == Pid.PAT:
                    self._associate(psi.read_pat(section))
                elif pid == self._pmt_pid:
                    self._map(psi.read_pmt(section))
            except MalformedData:
                self.statistics.malformed += 1
        self.statistics.malformed += reader.crc_errors - errors

    def _associate(self, associations: psi.Associations | None) -> None:
        """A section of the PAT: find the program. A program that has been chosen stays while a version of the PAT names it."""
        if associations is None or not associations.programs:
            return
        programs = associations.programs
        number = self._wanted
        if number is None:
            if associations.version == self._pat_version:
                return
            number = self._number if self._number in programs else next(iter(programs))
        self._pat_version = associations.version
        pid = programs.get(number, NOTHING)
        if (number, pid) != (self._number, self._pmt_pid) and pid > Pid.PAT and pid != Pid.NULL:
            self._sections.pop(self._pmt_pid, None)
            self._number, self._pmt_pid, self._program = number, pid, None
            self._sections[pid] = psi.SectionReader()

    def _map(self, program: psi.ProgramMap | None) -> None:
        """A new PMT: streams that are as they were go on, the others end or begin.

        Maps of several programs may share a PID: those of others, and those that change nothing, are passed over.
        """
        if program is None or program.program_number != self._number or program == self._program:
            return
        self._program = program
        before, self._streams = self._streams, {}
        for listed in program.streams:
            if listed.pid in self._sections or listed.pid in self._streams or not self._select(listed):
                continue
            same = listed.pid in before and before[listed.pid].listed == listed
            stream = before.pop(listed.pid) if same else begin(listed)
            if stream is not None:
                self._streams[listed.pid] = stream
        for stream in before.values():
            self._tell(stream, stream.reader.end)
            stream.drop()
        self._pcr_pid = program.pcr_pid
        self._events.append(ProgramFound(program.program_number, self._pmt_pid, program.pcr_pid, program.streams))
        tracks = [pid for pid, stream in self._streams.items() if not isinstance(stream.reader, MetadataReader)]
        self._events += self._waiting.expect(tracks)
