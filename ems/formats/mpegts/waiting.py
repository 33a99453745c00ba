"""Holding samples back until all tracks of a program are known, so that who takes the stream on hears of them at once.

A track is known when its first frame has told its configuration; for video that may take until the next key frame. Nobody waits
longer than `MAX_WAIT` for it: the tracks that are known begin, and the others join them when they come.
"""

from collections.abc import Collection

from ems.formats.mpegts.events import Event, Sample, TracksFound
from ems.formats.mpegts.packets import CLOCK_RATE, TICKS_RANGE
from ems.media.track import Kind, Track

MAX_WAIT = 2 * CLOCK_RATE
"""Ticks of the stream that are waited for the configuration of all its tracks."""

MAX_HELD = 8 * 1024 * 1024
"""Bytes that are held back meanwhile: two seconds of 32 Mbit/s."""

MAX_HELD_SAMPLES = 16_384
"""Samples that are held back, however small: two seconds of all `MAX_STREAMS` at more than a hundred a second."""


class TrackWaiting:
    """Lets samples through and tells of their tracks before; `expect` says which there will be."""

    def __init__(self) -> None:
        self._expected: set[int] = set()
        self._tracks: dict[int, Track] = {}
        self._held: list[Sample] = []
        self._held_bytes = 0
        self._open = False

    def expect(self, track_ids: Collection[int]) -> list[Event]:
        """These are the tracks of the program from now on. Those that are no longer there are forgotten."""
        self._expected = set(track_ids)
        left = {track_id: track for track_id, track in self._tracks.items() if track_id in self._expected}
        self._held = [sample for sample in self._held if sample.track.id in self._expected]
        gone, self._tracks = len(left) < len(self._tracks), left
        if not left:
            self._open = False
        return [self._found()] if gone and self._open else []

    def receive(self, sample: Sample) -> list[Event]:
        """What can be told now: nothing while it waits, else the sample, and its track when that is new."""
        if self._open:
            return [sample] if self._tracks.get(sample.track.id) is sample.track else self._told(sample)
        self._tracks.setdefault(sample.track.id, sample.track)
        self._held.append(sample)
        self._held_bytes += len(sample.data)
        waited = (sample.dts_ticks - self._held[0].dts_ticks + TICKS_RANGE // 2) % TICKS_RANGE - TICKS_RANGE // 2
        full = self._held_bytes > MAX_HELD or len(self._held) > MAX_HELD_SAMPLES
        return self.end() if full or abs(waited) > MAX_WAIT or self._expected <= self._tracks.keys() else []

    def end(self) -> list[Event]:
        """Wait no longer."""
        held, self._held, self._held_bytes = self._held, [], 0
        if not held:
            return []
        self._open = True
        return [self._found(), *(event for sample in held for event in self._told(sample))]

    def _told(self, sample: Sample) -> list[Event]:
        if self._tracks.get(sample.track.id) == sample.track:
            return [sample]
        self._tracks[sample.track.id] = sample.track
        return [self._found(), sample]

    def _found(self) -> TracksFound:
        return TracksFound(tuple(sorted(self._tracks.values(), key=lambda track: (track.kind is not Kind.VIDEO, track.id))))
