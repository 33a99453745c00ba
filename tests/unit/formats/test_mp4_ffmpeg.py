"""MP4 files as ffmpeg writes them: every sample is found where and when ffprobe finds it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ems.media.frame import MILLISECOND
from ems.media.track import Codec, Kind
from tests.media_files import indexed, packets, probed, remuxed

FORMS = {
    "moov last": ("film.mp4",),
    "moov first": ("film.mp4", "-movflags", "+faststart"),
    "QuickTime": ("film.mov",),
    "negative offsets": ("film.mp4", "-movflags", "+negative_cts_offsets"),
    "fragments": ("film.mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof"),
    "fragments without bases": ("film.mp4", "-movflags", "+frag_keyframe+empty_moov+omit_tfhd_offset"),
    "a fragment a frame": ("film.mp4", "-movflags", "+frag_every_frame+empty_moov"),
    "a fragment a track": ("film.mp4", "-movflags", "+frag_keyframe+empty_moov+separate_moof"),
    "fragments with edits": ("film.mp4", "-movflags", "+frag_keyframe+delay_moov"),
}
"""Names and muxer options for the same film."""

KINDS = {
    "h264_aac": (Codec.H264, Codec.AAC),
    "hevc_aac": (Codec.H265, Codec.AAC),
    "vp9_opus": (Codec.VP9, Codec.OPUS),
    "av1_opus": (Codec.AV1, Codec.OPUS),
    "h264_flac": (Codec.H264, Codec.FLAC),
    "h264_ac3": (Codec.H264, Codec.AC3),
    "h264_mp3": (Codec.H264, Codec.MP3),
    "aac_only": (Codec.AAC,),
}


def assert_as_probed(path: Path) -> None:
    """The index has all packets that ffprobe has, in the same streams."""
    index, streams = indexed(path), probed(path)
    assert not index.left_out
    assert len(index.tracks) == len(streams)
    for track, stream in zip(index.tracks, streams, strict=True):
        found = packets(index, track.id)
        assert len(found) > 30
        assert found == stream


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file(form: str, clip: Callable[[str], Path], tmp_path: Path) -> None:
    """A film with B-frames and sound is read alike wherever its moov stands, in one piece or in fragments."""
    name, *options = FORMS[form]
    path = remuxed(clip("h264_bframes_aac"), tmp_path / name, "-t", "4", *options)
    assert_as_probed(path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_codec(kind: str, clip: Callable[[str], Path], tmp_path: Path) -> None:
    """Each codec is known by its sample entry, and its samples are found."""
    path = remuxed(clip(kind), tmp_path / "film.mp4", "-t", "3")
    assert_as_probed(path)
    tracks = indexed(path).tracks
    assert tuple(track.codec for track in tracks) == KINDS[kind]
    for track in tracks:
        size = (track.width, track.height) if track.kind is Kind.VIDEO else (track.sample_rate, track.channels)
        assert size == ((640, 360) if track.kind is Kind.VIDEO else (48000, 2))


def test_sound_that_begins_late(clip: Callable[[str], Path], tmp_path: Path) -> None:
    """Sound that an empty edit puts half a second later begins then."""
    film = clip("h264_bframes_aac")
    later = f"-itsoffset 0.5 -i {film} -map 0:v -map 1:a -t 4".split()
    path = remuxed(film, tmp_path / "late.mp4", *later)
    assert_as_probed(path)
    index = indexed(path)
    assert packets(index, index.tracks[1].id)[0].pts > 450 * MILLISECOND


@pytest.mark.parametrize("form", ["moov last", "QuickTime", "fragments with edits"])
def test_a_film_cut_between_key_frames(form: str, clip: Callable[[str], Path], tmp_path: Path) -> None:
    """The part that a cut without encoding leaves begins with the pictures that its first one needs, and its sound is in step.

    Its edits begin in the middle of a group of pictures. By ISO/IEC 14496-12 §8.6.6 each sample is shown at its composition time
    less media_time: at the times that ffprobe tells without edit lists, less one constant for both tracks.
    """
    name, *options = FORMS[form]
    path = remuxed(clip("h264_bframes_aac"), tmp_path / name, "-t", "4", *options, seek="3.1")
    index, streams = indexed(path), probed(path, "-ignore_editlist", "1")
    pictures, sound = (packets(index, track.id) for track in index.tracks)
    cut = streams[0][0].dts - pictures[0].dts
    assert cut == 1180 * MILLISECOND
    moved = [[packet._replace(dts=packet.dts - cut, pts=packet.pts - cut) for packet in stream] for stream in streams]
    assert pictures == moved[0]
    assert pictures[0].keyframe
    assert sound == moved[1][-len(sound) :]
    assert -100 * MILLISECOND < sound[0].pts < -80 * MILLISECOND, "so much as a decoder needs"
    assert index.first_at(0) == 0
