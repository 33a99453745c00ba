"""Edit lists (ISO/IEC 14496-12 §8.6.6): what of a track is shown, and when.

An edit shows a stretch of the track's own time (`media_time`, in its ticks) for a while (`segment_duration`, in ticks of the
movie). An empty edit, of media_time -1, shows nothing: by it a track begins late. Encoders write one edit that begins where the
first picture is shown or where the priming samples of sound end, and that is followed here: empty edits, then one more. Editors
of films write several; of these the first is followed.

An edit that begins between key frames, as a cut without encoding leaves it, needs the pictures from the key frame before. They
stay in the index with times before 0, when the presentation begins, and so does some sound (`PREROLL`). Each sample's time is its
composition time less media_time, exactly: a picture that is on the screen when the edit begins came a little before 0. (ffprobe
moves pictures so that the first whole one is shown at 0, which puts them up to a picture's duration out of step with the sound;
with ``-ignore_editlist 1`` it has the same times as the index but for the constant media_time.)
"""

from struct import Struct
from typing import NamedTuple

from ems.errors import MalformedData
from ems.formats.mp4.boxes import Box
from ems.media.frame import MILLISECOND, SECOND

PREROLL = 80 * MILLISECOND
"""How much sound before its edit is kept, so that a decoder is in swing when the edit begins: what Opus wants (RFC 7845 §4.6,
3840 samples of 48 kHz); AAC wants 2112 samples."""

_COUNT = Struct(">B3xI")
_EDIT = Struct(">Iihh")
_LONG_EDIT = Struct(">Qqhh")
_ENTRIES = 8
_EMPTY = -1


class Edit(NamedTuple):
    """What is shown of a track: from `media_time` (ticks of the track) on, `duration` (nanoseconds; 0: to the end), beginning
    `delay` (nanoseconds) after the presentation has begun."""

    media_time: int = 0
    duration: int = 0
    delay: int = 0


WHOLE = Edit()
"""What a track without an edit list has."""


def read_edit(elst: Box, movie_timescale: int) -> tuple[Edit, str]:
    """The edit to follow, and in words what is not followed, empty when that is all. Raises `MalformedData`."""
    version, count = elst.unpack(_COUNT)
    layout = _LONG_EDIT if version == 1 else _EDIT
    end = _ENTRIES + count * layout.size
    if end > len(elst.content):
        raise MalformedData(f"{elst} has {len(elst.content)} bytes, {end} are needed for {count} edits")
    delay = 0
    for number, (duration, media_time, rate, _) in enumerate(layout.iter_unpack(elst.content[_ENTRIES:end]), 1):
        if media_time == _EMPTY:
            delay += duration
            continue
        if media_time < 0:
            raise MalformedData(f"{elst}: edit {number} begins at {media_time}")
        edit = Edit(media_time, duration * SECOND // movie_timescale, delay * SECOND // movie_timescale)
        return edit, _not_followed(count - number, rate)
    return Edit(delay=delay * SECOND // movie_timescale), ""


def _not_followed(more: int, rate: int) -> str:
    """What of an edit list is left out: `more` edits, and a rate of play other than 1."""
    told = [f"{more} further edits are not followed"] if more else []
    if rate != 1:
        told.append(f"it is played at its own speed, not {rate} times as fast")
    return "; ".join(told)
