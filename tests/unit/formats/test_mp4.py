"""MP4 files as ffmpeg does not write them: 64-bit boxes, small sizes, short NAL unit lengths, parameter sets in key frames."""

import os
from pathlib import Path
from struct import pack

import pytest

from ems.errors import MalformedData
from ems.formats import mp4
from ems.formats.fmp4.box import box, full_box
from ems.formats.fmp4.sample_entry import sample_entry
from ems.media import h264, h265
from ems.media.frame import MILLISECOND
from ems.media.track import Codec, Track
from tests.media_files import index_of, shown, stored
from tests.mp4 import FRAME, HEVC, SOUND, VIDEO, Samples, Trak, film, movie, pictures, sounds, units
from tests.unit.media import vectors

AVC, HVC = h264.AvcConfiguration.parse(vectors.AVCC_HIGH), h265.HevcConfiguration.parse(vectors.HVCC_MAIN)
BARE_AVCC = vectors.AVCC_HIGH[:5] + b"\xe0\0" + vectors.AVCC_HIGH[-4:]
BARE_HVCC = vectors.HVCC_MAIN[:22] + b"\0"
"""Configuration records without parameter sets."""


def data_of(samples: Samples) -> list[bytes]:
    return [sample[0] for sample in samples]


@pytest.mark.parametrize("moov_first", [True, False])
@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("per_chunk", [1, 3, 100])
def test_tables(moov_first: bool, large: bool, per_chunk: int) -> None:
    """Samples lie where the tables say: of 32 and of 64 bits, in chunks of one, of some, of all samples."""
    film_of, voice = pictures(11, later=FRAME), sounds(20)
    traks = Trak(VIDEO, 1000, film_of, per_chunk=per_chunk), Trak(SOUND, 1000, voice, per_chunk=per_chunk)
    data = film(*traks, moov_first=moov_first, large=large)
    index = index_of(data)
    assert index.tracks == (VIDEO, SOUND)
    assert not index.left_out
    assert stored(index, data) == data_of(film_of)
    assert stored(index, data, 2) == data_of(voice)
    assert shown(index) == [FRAME * (at + 1) for at in range(11)]
    assert [sample.keyframe for sample in index.samples if sample.track_id == 1] == [at % 4 == 0 for at in range(11)]
    assert index.duration == 12 * FRAME * MILLISECOND


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_small_sizes(bits: int) -> None:
    """Sizes of 4, 8 and 16 bits (stz2) are sizes like others, an odd number of them too."""
    voice = sounds(21)
    data = film(Trak(SOUND, 1000, voice, size_bits=bits))
    assert stored(index_of(data), data, 2) == data_of(voice)


def test_sizes_of_other_widths_are_refused() -> None:
    """Sizes of 5 bits do not exist."""
    data = film(Trak(SOUND, 1000, sounds(3), size_bits=8)).replace(b"stz2\0\0\0\0\0\0\0\x08", b"stz2\0\0\0\0\0\0\0\x05")
    with pytest.raises(MalformedData, match="sizes of 5 bits"):
        index_of(data)


def test_beyond_four_gigabytes(tmp_path: Path) -> None:
    """Media behind the first four gigabytes are found: sizes of boxes and places of chunks in 64 bits."""
    path, start = tmp_path / "large.mp4", 5 << 30
    film_of = pictures(5)
    media = b"".join(data_of(film_of))
    with path.open("wb") as file:
        file.write(box(b"ftyp", b"isom") + (1).to_bytes(4, "big") + b"mdat" + (start - 12 + len(media)).to_bytes(8, "big"))
        file.seek(start)
        file.write(media + movie([Trak(VIDEO, 1000, film_of)], start, large=True))
        file.flush()
        size = os.fstat(file.fileno()).st_size
    descriptor = os.open(path, os.O_RDONLY)
    try:
        index = mp4.read_index(lambda offset, length: os.pread(descriptor, length, offset), size)
        found = [index.payload(sample, os.pread(descriptor, sample.size, sample.offset)) for sample in index.samples]
    finally:
        os.close(descriptor)
    assert found == data_of(film_of)


@pytest.mark.parametrize("length_size", [1, 2, 4])
@pytest.mark.parametrize("track", [VIDEO, HEVC], ids=["H.264", "H.265"])
def test_nal_unit_lengths(track: Track, length_size: int) -> None:
    """NAL unit lengths of 1 and 2 bytes become 4, in the samples and in the configuration."""
    film_of = pictures(6, length_size=length_size)
    at = 4 if track is VIDEO else 21
    config = bytearray(track.config)
    config[at] = config[at] & 0xFC | length_size - 1
    data = film(Trak(track, 1000, film_of, entries=[sample_entry(track).replace(track.config, config)]))
    index = index_of(data)
    assert index.tracks == (track,)
    assert stored(index, data) == data_of(pictures(6))


@pytest.mark.parametrize("length_size", [1, 2, 4])
def test_lengths_that_are_not_true(length_size: int) -> None:
    """A sample whose NAL unit lengths do not lead to its end is refused alone, as is one of which bytes are missing."""
    film_of = [(b"\x7f" * 20, FRAME, 0, True), *pictures(1, length_size=length_size)]
    config = vectors.AVCC_HIGH[:4] + bytes((0xFC | length_size - 1,)) + vectors.AVCC_HIGH[5:]
    data = film(Trak(VIDEO, 1000, film_of, entries=[sample_entry(VIDEO).replace(VIDEO.config, config)]))
    index = index_of(data)
    broken, whole = index.samples
    with pytest.raises(MalformedData):
        index.payload(broken, film_of[0][0])
    with pytest.raises(MalformedData, match=f"{whole.size - 1} bytes of a sample of {whole.size}"):
        index.payload(whole, film_of[1][0][:-1])
    assert index.payload(whole, film_of[1][0]) == pictures(1)[0][0]


@pytest.mark.parametrize(
    ("entry_type", "config", "track", "sets"),
    [
        (b"avc3", box(b"avcC", BARE_AVCC), VIDEO, [*AVC.sps, *AVC.pps]),
        (b"hev1", box(b"hvcC", BARE_HVCC), HEVC, [*HVC.vps, *HVC.sps, *HVC.pps]),
    ],
)
def test_parameter_sets_in_key_frames_alone(entry_type: bytes, config: bytes, track: Track, sets: list[bytes]) -> None:
    """Where the sample entry has no parameter sets (avc3, hev1), size and configuration come from the first key frame."""
    entry = box(entry_type, sample_entry(track)[8:86], config)
    first = units(*sets, b"\x65\1picture")
    data = film(Trak(track, 1000, [*[(units(b"\x41a"), FRAME, 0, False)] * 2, (first, FRAME, 0, True)], entries=[entry]))
    (found,) = index_of(data).tracks
    assert (found.codec, found.width, found.height) == (track.codec, track.width, track.height)
    assert all(unit in found.config for unit in sets)
    for lost in (film(Trak(track, 1000, [(first, FRAME, 0, False)], entries=[entry])), data.replace(sets[0][1:], b"\0")):
        with pytest.raises(MalformedData, match="no sample in the file"):
            index_of(lost)


def test_a_key_frame_behind_the_end_of_the_file_is_not_asked_for() -> None:
    """A chunk at the far end of what 63 bits can name is not looked for in a file of some hundred bytes."""
    entry = box(b"avc3", sample_entry(VIDEO)[8:86], box(b"avcC", BARE_AVCC))
    moov = movie([Trak(VIDEO, 1000, pictures(1), entries=[entry])], (1 << 63) - 100, large=True)

    def read_part(offset: int, length: int) -> bytes:
        assert offset <= len(moov)
        return moov[offset : offset + length]

    with pytest.raises(MalformedData, match="it has no key frame"):
        mp4.read_index(read_part, len(moov))


def test_negative_composition_offsets() -> None:
    """Offsets that are negative keep pictures where they are shown: no picture is shown before it is decoded."""
    offsets = (0, 2 * FRAME, -FRAME, -FRAME)
    film_of = [(data, duration, offset, key) for (data, duration, _, key), offset in zip(pictures(4), offsets, strict=True)]
    index = index_of(film(Trak(VIDEO, 1000, film_of)))
    assert shown(index) == [0, 3 * FRAME, FRAME, 2 * FRAME]
    assert [sample.dts // MILLISECOND for sample in index.samples] == [-FRAME, 0, FRAME, 2 * FRAME]
    assert index.duration == 4 * FRAME * MILLISECOND


def test_cut_off_media() -> None:
    """A file that ends in the middle of its media plays up to there, and what is lost is said."""
    film_of, voice = pictures(10), sounds(10)
    data = film(Trak(VIDEO, 1000, film_of, per_chunk=1), Trak(SOUND, 1000, voice))
    sixth = [sample for sample in index_of(data).samples if sample.track_id == 1][5]
    cut = data[: sixth.offset + 3]
    index = index_of(cut)
    assert stored(index, cut) == data_of(film_of)[:5]
    assert index.left_out == (
        "track 1: 5 samples are empty, too large or not wholly in the file",
        "track 2: 10 samples are empty, too large or not wholly in the file",
    )
    assert index.tracks == (VIDEO,)


@pytest.mark.parametrize("end", ["moov", "header"])
def test_cut_off_tables(end: str) -> None:
    """Without its moov nothing of a file can be read, and that is said."""
    data = film(Trak(VIDEO, 1000, pictures(3)), moov_first=False)
    cut = data[:-20] if end == "moov" else data[: data.index(b"moov") + 2]
    with pytest.raises(MalformedData, match="moov"):
        index_of(cut)


def test_a_header_that_is_cut_off() -> None:
    """A file that ends within the 64-bit size of a box is read up to that box."""
    data = film(Trak(VIDEO, 1000, pictures(3)))
    assert list(index_of(data + b"\0\0\0\1mdat\0\0\0").samples) == list(index_of(data).samples)


def test_a_change_of_the_sample_entry() -> None:
    """A track whose samples change to another sample entry ends there, which is said."""
    film_of = pictures(9)
    data = film(Trak(VIDEO, 1000, film_of, per_chunk=3, entries=[sample_entry(VIDEO), sample_entry(HEVC)]))
    index = index_of(data)
    assert stored(index, data) == data_of(film_of)[:3]
    assert index.left_out == ("track 1: it ends where its sample entry changes",)


def test_tracks_that_are_not_index_of() -> None:
    """Text and unknown codecs are left out with the reason, and the rest is read."""
    text = Trak(SOUND, 1000, sounds(3), entries=[box(b"tx3g", bytes(40))])
    index = index_of(film(Trak(VIDEO, 1000, pictures(3)), text))
    assert index.tracks == (VIDEO,)
    assert index.left_out == ("track 2: sample entry 'tx3g' is not read",)


def test_empty_and_huge_samples_are_left_out() -> None:
    """Samples without bytes carry nothing and are passed over."""
    voice = [(b"a", 20, 0, True), (b"", 20, 0, True), (b"b", 20, 0, True)]
    index = index_of(film(Trak(SOUND, 1000, voice)))
    assert shown(index, 2) == [0, 40]
    assert index.duration == 60 * MILLISECOND


def test_sound_of_quicktime() -> None:
    """QuickTime's sound keeps its esds in a wave box behind longer fields, and has a name of its own for MP3."""
    entry = sample_entry(SOUND)
    fields, esds = entry[8:36], entry[36:]
    versions = {
        1: fields[:8] + b"\0\1" + fields[10:] + bytes(16) + box(b"wave", box(b"frma", b"mp4a"), esds, bytes(4)),
        2: fields[:8] + b"\0\2" + fields[10:] + bytes(36) + esds,
    }
    for content in versions.values():
        assert index_of(film(Trak(SOUND, 1000, sounds(3), entries=[box(b"mp4a", content)]))).tracks == (SOUND,)
    frame = vectors.MP3_STEREO.ljust(417, b"\0")
    index = index_of(film(Trak(SOUND, 1000, [(frame, 26, 0, True)] * 2, entries=[box(b".mp3", fields)])))
    assert (index.tracks[0].codec, index.tracks[0].sample_rate) == (Codec.MP3, 44100)


def test_the_order_of_decoding() -> None:
    """Samples of all tracks come in the order in which they are decoded, and a time finds its key frame."""
    index = index_of(film(Trak(VIDEO, 1000, pictures(12)), Trak(SOUND, 1000, sounds(24))))
    times = [sample.dts for sample in index.samples]
    assert times == sorted(times)
    begin = index.samples[index.first_at(250 * MILLISECOND)]
    assert (begin.track_id, begin.dts, begin.keyframe) == (1, 4 * FRAME * MILLISECOND, True)


def test_boxes_that_disagree() -> None:
    """Tables that do not fit each other, and boxes that are missing, are refused with the place."""
    data = film(Trak(VIDEO, 1000, pictures(6)))
    for name, reason in (
        (b"mvhd", "no mvhd"),
        (b"tkhd", "no tkhd"),
        (b"mdia", "no mdia"),
        (b"stsd", "no stsd"),
        (b"stts", "no stts"),
        (b"stsz", "no stz2"),
        (b"stsc", "no stsc"),
        (b"stco", "no co64"),
    ):
        with pytest.raises(MalformedData, match=reason):
            index_of(data.replace(name, b"free"))
    twice = film(Trak(VIDEO, 1000, pictures(6)), Trak(VIDEO, 1000, pictures(6)))
    with pytest.raises(MalformedData, match="the number of another track"):
        index_of(twice)
    stts = full_box(b"stts", 0, 0, pack(">III", 1, 6, FRAME))
    with pytest.raises(MalformedData, match="tells the times of 5 samples, there are 6"):
        index_of(data.replace(stts, full_box(b"stts", 0, 0, pack(">III", 1, 5, FRAME))))
