"""Packets to access units of H.264 (RFC 6184) and H.265 (RFC 7798).

A packet holds one NAL unit, several behind their sizes (STAP-A, AP), or a fragment of one (FU-A, FU). The packets of a picture
have one timestamp, and the last of them the marker. Not all cameras mean it so: a picture also ends where the timestamp changes,
and a source that has set the marker inside a picture is not believed again.

What was lost must not be shown. A gap costs the picture that it may have hit, and all that follow up to the next key frame, as
they refer to it. Parameter sets become the track's configuration and are not left among the slices.

Not read: the interleaved mode (STAP-B, MTAP, FU-B; decoding order numbers of H.265), which no live source uses, and PACI.
"""

from collections.abc import Iterable
from contextlib import suppress

from ems.errors import MalformedData
from ems.formats.mpegts.nal_rules import AVC, HEVC, NalRules, SetKey
from ems.formats.rtp.fragments import Fragments, KeyframeGate
from ems.formats.rtp.nal_packets import FU_A, HEVC_FU
from ems.formats.rtp.packet import RtpPacket
from ems.formats.rtp.payload import VIDEO_CLOCK, AccessUnit, Depacketiser
from ems.media.nal import MAX_ACCESS_UNIT, MAX_NAL_UNITS, join_lengths
from ems.media.track import Track

STAP_A = 24
HEVC_AP = 48

_START, _END = 0x80, 0x40


def keyed_sets(rules: NalRules, nals: Iterable[bytes]) -> dict[SetKey, bytes]:
    """Those of these NAL units that are parameter sets, by type and id; damaged ones are left out."""
    sets: dict[SetKey, bytes] = {}
    for nal in nals:
        if nal and (kind := rules.types[nal[0]]) in rules.parameter_sets:
            with suppress(MalformedData):
                rules.learn(sets, kind, nal)
    return sets


class NalDepacketiser(Depacketiser):
    """What both codecs share: collecting NAL units, and what of them can be decoded. `rules` tell the units apart."""

    rules: NalRules

    def __init__(self, track_id: int, parameter_sets: Iterable[bytes] = (), clock_rate: int = VIDEO_CLOCK) -> None:
        super().__init__(clock_rate)
        self._track_id = track_id
        self._stale = False
        self._nals: list[bytes] = []
        self._fragments = Fragments()
        self._size = 0
        self._time: int | None = None
        self._given: int | None = None
        self._sliced = self._key = self._configured = False
        self._damaged = False
        self._after_gap = False
        self._marker_lies = False
        self._gate = KeyframeGate()
        self._sets = keyed_sets(self.rules, parameter_sets)
        self._configure()

    def await_keyframe(self) -> None:
        self._gate.close()

    def flush(self) -> list[AccessUnit]:
        found: list[AccessUnit] = []
        self._finish(found)
        return found

    def _receive(self, packet: RtpPacket, found: list[AccessUnit]) -> None:
        if packet.timestamp != self._time:
            self._finish(found)
            self._time = packet.timestamp
        if packet.payload and not self._damaged:
            self._take(packet.payload)
        if packet.marker and not self._marker_lies:
            self._finish(found)

    def _take(self, payload: bytes) -> None:
        """The payload of one packet. Raises `MalformedData`."""
        raise NotImplementedError

    def _drop(self) -> None:
        """What has begun is damaged; whether what comes next is whole shows its first NAL unit."""
        self._forget()
        self._damaged = self._time is not None
        self._after_gap = True
        self._gate.close()

    def _forget(self) -> None:
        self._nals, self._size = [], 0
        self._fragments.clear()
        self._sliced = self._key = self._configured = False

    def _finish(self, found: list[AccessUnit]) -> None:
        """The picture at hand ends."""
        time, self._time = self._time, None
        if self._fragments:
            self._damaged = True
        if time is None or (not self._sliced and not self._damaged):
            return  # what stands in front of a picture waits for it
        nals, key, configured, damaged = self._nals, self._key, self._configured, self._damaged
        self._forget()
        self._damaged = False
        self._given = time
        if self._stale:
            self._configure()
        if damaged:
            self._gate.close()
        keyframe = key or (configured and self.rules.begins_decoding(nals))
        if damaged or self.track is None or not self._gate.admits(time, keyframe):
            self.dropped += 1
        else:
            found.append(AccessUnit(time, join_lengths(nals), keyframe, self.track))

    def _unit(self, nal: bytes) -> None:
        """A whole NAL unit."""
        rules = self.rules
        kind = rules.types[nal[0]]
        begins = nal[rules.first_flag : rules.first_flag + 1] >= b"\x80"
        if self._after_gap:
            self._after_gap = False
            if kind not in rules.beginning and not (kind in rules.slices and begins):
                raise MalformedData("the beginning of a picture is missing")
        if kind in rules.slices:
            if not self._sliced and not begins and self._time == self._given:
                self._marker_lies = True
                raise MalformedData("a picture goes on behind its marker")
            self._sliced, self._key = True, self._key or kind in rules.keys
        elif kind in rules.parameter_sets:
            self._configured = True
            self._learn(kind, nal)
            return
        elif kind in rules.dropped:
            return
        self._size += len(nal)
        self._nals.append(nal)
        if self._size > MAX_ACCESS_UNIT or len(self._nals) > MAX_NAL_UNITS:
            raise MalformedData(f"{len(self._nals)} NAL units of {self._size} bytes pass the limits of an access unit")

    def _fragment(self, flags: int, header: bytes, piece: bytes) -> None:
        """A fragment of a NAL unit with this header; `flags` tells the first and the last."""
        fragments = self._fragments
        if flags & _START:
            if fragments:
                raise MalformedData("a fragmented NAL unit begins before the one before has ended")
            fragments.add(header)
        elif not fragments:
            raise MalformedData("the beginning of a fragmented NAL unit is missing")
        fragments.add(piece)
        if flags & _END:
            self._unit(fragments.take())

    def _aggregated(self, payload: bytes, start: int, smallest: int) -> None:
        """NAL units behind their sizes in 16 bits, each of `smallest` bytes or more."""
        at, size = start, len(payload)
        while at < size:
            begin = at + 2
            at = begin + int.from_bytes(payload[at:begin], "big")
            if at > size or at - begin < smallest:
                raise MalformedData(f"an aggregated NAL unit from byte {begin} to {at} of {size}")
            self._unit(payload[begin:at])

    def _whole(self) -> None:
        """What is not a fragment must not come between fragments."""
        if self._fragments:
            raise MalformedData("the end of a fragmented NAL unit is missing")

    def _learn(self, kind: int, nal: bytes) -> None:
        """Remember a parameter set; a damaged one is passed over."""
        if nal in self._sets.values():
            return
        try:
            self.rules.learn(self._sets, kind, nal)
            self._stale = True
        except MalformedData:
            self.malformed += 1

    def _configure(self) -> None:
        """Make the track anew, when the parameter sets make one already."""
        self._stale = False
        try:
            track = self.rules.make_track(self._track_id, self._sets)
        except MalformedData:
            return
        if track != self.track:
            self.track: Track | None = track


class H264Depacketiser(NalDepacketiser):
    """Single NAL units, STAP-A and FU-A (RFC 6184 §5.6, §5.7.1, §5.8)."""

    rules = AVC

    def _take(self, payload: bytes) -> None:
        kind = payload[0] & 0x1F
        if kind == FU_A:
            if len(payload) < 2:
                raise MalformedData("a fragmentation unit without its header")
            flags = payload[1]
            if flags < _END and self._fragments:
                self._fragments.add(payload[2:])
                return
            self._fragment(flags, bytes((payload[0] & 0xE0 | flags & 0x1F,)), payload[2:])
            return
        self._whole()
        if 0 < kind < STAP_A:
            self._unit(payload)
        elif kind == STAP_A:
            self._aggregated(payload, 1, 1)
        else:
            raise MalformedData(f"an RTP payload of H.264 with the type {kind}")


class H265Depacketiser(NalDepacketiser):
    """Single NAL units, AP and FU (RFC 7798 §4.4.1 to §4.4.3)."""

    rules = HEVC

    def _take(self, payload: bytes) -> None:
        kind = payload[0] >> 1 & 0x3F
        if kind == HEVC_FU:
            if len(payload) < 3:
                raise MalformedData("a fragmentation unit without its header")
            flags = payload[2]
            if flags < _END and self._fragments:
                self._fragments.add(payload[3:])
                return
            self._fragment(flags, bytes((payload[0] & 0x81 | (flags & 0x3F) << 1, payload[1])), payload[3:])
            return
        self._whole()
        if len(payload) < 2:
            raise MalformedData("a NAL unit of H.265 without its header")
        if kind < HEVC_AP:
            self._unit(payload)
        elif kind == HEVC_AP:
            self._aggregated(payload, 2, 2)
        else:
            raise MalformedData(f"an RTP payload of H.265 with the type {kind}")
