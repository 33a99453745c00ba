"""The frames that a late joiner begins with."""

import pytest

from ems.media.frame import SECOND
from ems.streams.gop import GopCache, is_join_point, lead_track
from tests.unit.streams.frames import AUDIO, DATA, NEW_AUDIO, NEW_VIDEO, VIDEO, frame, group


def cache(*tracks: object) -> GopCache:
    """A cache of a stream of these tracks."""
    made = GopCache()
    made.tracks_changed(tuple(tracks))  # type: ignore[arg-type]
    return made


def test_it_begins_with_the_newest_key_frame() -> None:
    """A key frame takes the place of everything before it; sound and data in between are kept in order."""
    gop = cache(VIDEO, AUDIO, DATA)
    for one in [*group(0), *group(200)]:
        gop.push(one)
    behind = [frame(AUDIO, 210), frame(DATA, 220), frame(VIDEO, 400)]
    for one in behind:
        gop.push(one)
    assert gop.frames == (*group(200), *behind)


def test_nothing_before_the_first_key_frame() -> None:
    """Frames that nobody could decode are not kept."""
    gop = cache(VIDEO, AUDIO)
    for one in (frame(VIDEO, 0), frame(AUDIO, 10), frame(VIDEO, 40)):
        gop.push(one)
    assert gop.frames == ()


def test_without_pictures_any_sound_is_a_beginning() -> None:
    """A stream of sound, or of data only, begins with its newest frame."""
    for track in (AUDIO, DATA):
        gop = cache(track)
        for ms in (0, 23, 46):
            gop.push(frame(track, ms))
        assert gop.frames == (frame(track, 46),)


@pytest.mark.parametrize("bound", ["MAX_DURATION", "MAX_BYTES", "MAX_FRAMES"])
def test_each_bound_holds_by_itself(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that lasts too long, is too big or has too many frames is given up until the next key frame."""
    limits = {"MAX_DURATION": SECOND, "MAX_BYTES": 1000, "MAX_FRAMES": 20}
    monkeypatch.setattr(GopCache, bound, limits[bound])
    size = 100 if bound == "MAX_BYTES" else 0
    gop = cache(VIDEO)
    kept = []
    for one in group(0, 40, size=size):
        gop.push(one)
        kept.append(len(gop.frames))
    assert max(kept) == {"MAX_DURATION": 26, "MAX_BYTES": 10, "MAX_FRAMES": 20}[bound]
    assert gop.frames == ()
    gop.push(group(4000)[0])
    assert gop.frames == (group(4000)[0],)


def test_a_new_configuration_of_the_picture_empties_it() -> None:
    """Frames that need the old configuration are of no use behind the new one."""
    gop = cache(VIDEO, AUDIO)
    for one in group(0):
        gop.push(one)
    gop.tracks_changed((NEW_VIDEO, AUDIO))
    assert gop.frames == ()
    gop.push(frame(NEW_VIDEO, 200))
    assert gop.frames == ()


def test_a_new_configuration_of_the_sound_takes_out_the_sound() -> None:
    """The pictures stay when only the sound changes."""
    gop = cache(VIDEO, AUDIO)
    for one in (group(0)[0], frame(AUDIO, 5), frame(VIDEO, 40)):
        gop.push(one)
    gop.tracks_changed((VIDEO, NEW_AUDIO))
    assert gop.frames == (group(0)[0], frame(VIDEO, 40))


def test_the_leading_track() -> None:
    """Pictures lead, without them sound, without it data; a second picture does not."""
    second = VIDEO.__class__(1, VIDEO.kind, VIDEO.codec)
    assert lead_track((AUDIO, DATA, second, VIDEO)) is second
    assert lead_track((DATA, AUDIO)) is AUDIO
    assert lead_track((DATA,)) is DATA
    assert lead_track(()) is None
    assert not is_join_point(frame(second, 0, key=True), VIDEO)
    assert not is_join_point(frame(VIDEO, 0, key=True), None)
