"""Live frames as runs that are sent at once: a fragment for every picture, with the sound that came since the last one.

A picture must not wait for the next, which alone tells how long it lasts: so its duration is expected from those before it. The
time at which each fragment begins is always exact. For video the expectation is rather too long than too short: browsers take
a picture that comes more than twice the last one's duration later for a jump, and show nothing until the next key frame
(Media Source Extensions §3.5.8), while a short overlap means nothing to them. Of sound an overlap would be cut off, so its
duration is what the codec says.

Sound waits for the next picture, and without one until there are `MAX_AUDIO` of it, as a fragment of its own costs more than it
carries.
"""

from collections.abc import Sequence

from ems.formats.fmp4.fragment import Run
from ems.media import ac3
from ems.media.aac import AudioSpecificConfig
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Codec, Kind, Track

MAX_AUDIO = 100 * MILLISECOND
"""Sound in one run: what it is delayed by at most."""

LONGEST_STEP = SECOND
"""A longer time between two frames is a pause of the source: the next frames will not be as far apart."""

USUAL_VIDEO_STEP = 40 * MILLISECOND
USUAL_AUDIO_STEP = 20 * MILLISECOND
"""The first frame's duration when nothing tells it."""

DECAY = 16
"""An expected duration of a picture shrinks by this part of it with each shorter one."""

_VIDEO = Kind.VIDEO


class LiveRuns:
    """Collects the frames of at most one video and one audio track."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._fixed = {track.id: duration for track in tracks if (duration := sound_duration(track))}
        self._steps = {track.id: _first_step(track) for track in tracks}
        self._last: dict[int, int] = {}
        self._audio: list[Frame] = []

    def add(self, frame: Frame) -> list[Run]:
        """Take a frame of one of the tracks in; what is to be sent now, video first, or nothing yet."""
        track = frame.track
        step = self._fixed.get(track.id) or self._expected(frame)
        if track.kind is _VIDEO:
            return [Run(track, (frame,), frame.dts + step), *self.take()]
        self._audio.append(frame)
        if frame.dts + 2 * step - self._audio[0].dts > MAX_AUDIO:
            return self.take()
        return []

    def take(self) -> list[Run]:
        """The sound that waits, if any."""
        frames = self._audio
        if not frames:
            return []
        self._audio = []
        newest = frames[-1]
        step = self._fixed.get(newest.track.id) or self._steps[newest.track.id]
        return [Run(newest.track, frames, newest.dts + step)]

    def _expected(self, frame: Frame) -> int:
        """The duration of a frame, by those before it."""
        track_id = frame.track.id
        last = self._last.get(track_id)
        self._last[track_id] = frame.dts
        step = self._steps[track_id]
        if last is None or not 0 < (observed := frame.dts - last) <= LONGEST_STEP:
            return step
        if frame.track.kind is _VIDEO:
            observed = max(observed, step - step // DECAY)
        self._steps[track_id] = observed
        return observed


def sound_duration(track: Track) -> int:
    """How long every frame of the track lasts, in nanoseconds; 0 when the codec does not say."""
    samples = 0
    if track.codec is Codec.AAC:
        samples = AudioSpecificConfig.parse(track.config).frame_length
    elif track.codec is Codec.AC3:
        samples = 6 * ac3.SAMPLES_PER_BLOCK
    elif track.codec is Codec.MP3:
        samples = 576 if track.codec_string == "mp4a.69" else 1152
    return samples * SECOND // track.sample_rate if track.sample_rate else 0


def _first_step(track: Track) -> int:
    if track.kind is not _VIDEO:
        return USUAL_AUDIO_STEP
    return int(SECOND / track.frame_rate) if track.frame_rate else USUAL_VIDEO_STEP
