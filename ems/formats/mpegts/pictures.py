"""Access units of H.264 and H.265 out of PES packets.

The rule is one picture in one PES packet, and such a picture is given as soon as the packet is whole. But

* a PES packet may hold several pictures: they are told apart by delimiters and first slices, and those behind the first, whose
  times are not told, follow it at the frame rate;
* a picture may go on in further PES packets, which then have no time or the same one. A source that has once done so is believed
  to do so again: its pictures are given when the next one begins.

Parameter sets become the track's configuration and are not left among the slices.
"""

from typing import Protocol

from ems.errors import MalformedData
from ems.formats.mpegts.events import Event, Sample
from ems.formats.mpegts.nal_rules import NalRules, SetKey
from ems.formats.mpegts.packets import CLOCK_RATE, PAYLOAD_SIZE, TICKS_RANGE
from ems.formats.mpegts.pes import PesPacket, begins_unit
from ems.media import h264
from ems.media.nal import MAX_ACCESS_UNIT, join_lengths, split_annexb
from ems.media.track import Track

CAPPED = 60_000
"""Bytes from which on a PES packet that tells its length may be a piece of a picture: the length has 16 bits."""

MAX_PIECES = MAX_ACCESS_UNIT // PAYLOAD_SIZE
"""PES packets of one picture: each fills a transport packet, and the largest picture takes no more of these."""

MAX_LEAD = 256
"""NAL units in front of a picture, parameter sets aside: SEI messages, of which a few are usual."""

USUAL_STEP = CLOCK_RATE // 25
"""Ticks between two pictures of one PES packet when nothing tells the frame rate."""


class UnitReader(Protocol):
    """Makes access units of the PES packets of one PID. All methods may raise `MalformedData`: `lose` is called then.

    `holds` says whether a unit may go on in the next PES packet, so that `begins` must be called.
    """

    holds: bool

    def begins(self, start: bytes) -> list[Event]:
        """The next PES packet begins with these bytes: what is whole now."""

    def receive(self, packet: PesPacket, size: int) -> list[Event]:
        """A PES packet of this PID; `size` is the length that it told, or 0. Gives the access units that it completes."""

    def lose(self) -> None:
        """Something is missing in front of what comes next: what has begun is dropped."""

    def end(self) -> list[Event]:
        """Nothing more comes: what is whole so."""


class PictureReader:
    """Reads the pictures of `pid` by `rules`, `AVC` or `HEVC`."""

    holds = True

    def __init__(self, pid: int, rules: NalRules) -> None:
        self._pid = pid
        self._rules = rules
        self._track: Track | None = None
        self._interlaced = False
        self._sets: dict[SetKey, bytes] = {}
        self._stale = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._lead: list[bytes] = []
        self._dts = self._pts = 0
        self._last: int | None = None
        self._spans = False

    def begins(self, start: bytes) -> list[Event]:
        """The picture at hand, if any, unless the PES packet that now begins goes on with it."""
        if begins_unit(start, self._last):
            return self.end()
        self._spans = True
        return []

    def receive(self, packet: PesPacket, size: int) -> list[Event]:
        """Take a PES packet; see `UnitReader`."""
        if not self._pieces:
            if packet.pts is None or packet.dts is None:
                return []  # the rest of a picture whose beginning was not seen, or was given already
            self._pts = self._last = packet.pts
            self._dts = packet.dts
            self._size = 0
        self._pieces.append(packet.data)
        self._size += len(packet.data)
        if self._size > MAX_ACCESS_UNIT or len(self._pieces) > MAX_PIECES:
            raise MalformedData(f"{len(self._pieces)} PES packets of {self._size} bytes pass the limits of an access unit")
        return [] if self._spans or not 0 < size < CAPPED else self.end()

    def lose(self) -> None:
        """Drop the picture that has begun."""
        self._pieces.clear()
        self._lead.clear()

    def end(self) -> list[Event]:
        """The pictures that have been received."""
        if not self._pieces:
            return []
        data = b"".join(self._pieces)
        self._pieces.clear()
        return self._pictures(split_annexb(data))

    def _pictures(self, nals: list[bytes]) -> list[Event]:
        """Samples of the pictures in a row of NAL units; what follows the last slices belongs to the next picture."""
        rules = self._rules
        found: list[Event] = []
        types, slices, flag = rules.types, rules.slices, rules.first_flag
        unit, self._lead = self._lead, []
        seen = key = configured = False
        for nal in nals:
            kind = types[nal[0]]
            if kind in slices:
                if seen and not self._interlaced and nal[flag : flag + 1] >= b"\x80":
                    found += self._sample(unit, key, configured, len(found))
                    unit, key, configured = [], False, False
                seen, key = True, key or kind in rules.keys
            elif seen and kind in rules.beginning:
                found += self._sample(unit, key, configured, len(found))
                unit, seen, key, configured = [], False, False, False
            if kind in rules.parameter_sets:
                self._learn(kind, nal)
                configured = True
            elif kind not in rules.dropped:
                unit.append(nal)
        if seen:
            return found + self._sample(unit, key, configured, len(found))
        if len(unit) <= MAX_LEAD and sum(map(len, unit)) <= MAX_ACCESS_UNIT:
            self._lead = unit
        return found

    def _sample(self, unit: list[bytes], key: bool, configured: bool, number: int) -> list[Event]:
        """The sample of an access unit, the `number`-th of its PES packet; none while the configuration is not known."""
        if self._stale:
            self._configure()
        if self._track is None or not unit:
            return []
        keyframe = key or (configured and self._rules.begins_decoding(unit))
        dts, pts = self._dts, self._pts
        if number:
            rate = self._track.frame_rate
            passed = number * (round(CLOCK_RATE / rate) if rate else USUAL_STEP)
            dts, pts = (dts + passed) % TICKS_RANGE, (pts + passed) % TICKS_RANGE
        return [Sample(self._track, dts, pts, keyframe, join_lengths(unit))]

    def _learn(self, kind: int, nal: bytes) -> None:
        """Remember a parameter set; a damaged one is passed over."""
        if nal in self._sets.values():
            return
        try:
            self._rules.learn(self._sets, kind, nal)
            self._stale = True
        except MalformedData:
            return

    def _configure(self) -> None:
        """Make the track anew, when the parameter sets make one already."""
        self._stale = False
        try:
            self._track = self._rules.make_track(self._pid, self._sets)
        except MalformedData:
            return
        sps = next((nal for (kind, _), nal in self._sets.items() if kind == h264.NalType.SPS), None)
        self._interlaced = sps is not None and not h264.parse_sps(sps).frame_mbs_only
