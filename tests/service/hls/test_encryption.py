"""Encrypted HLS from the frames of a source to files: which key each segment has, and where the keys are."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ems.errors import CommandError
from ems.formats.m3u8 import Key, MediaPlaylist, read_media_playlist
from ems.media import h265, mp3
from ems.media.frame import SECOND
from tests.service.hls.low_latency_world import AUDIO, World, frames
from tests.unit.media import vectors

SYNC = b"\x47"

HEVC = h265.make_track(1, vectors.HVCC_MAIN)
MP3 = mp3.make_track(2, vectors.MP3_STEREO)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def written(world: World, seconds: int, **settings: Any) -> MediaPlaylist:
    """The playlist of a stream of so many segments of one second, and one that is unfinished."""
    world.write("cam", **settings)
    stream = world.publish("cam")
    for frame in frames(seconds):
        world.push(stream, frame)
    return read_media_playlist(world.path("cam").read_bytes())


def decrypted(world: World, uri: str, key: Key) -> bytes:
    """A segment as a player decrypts it, with the padding still there."""
    secret = world.path("cam", key.uri).read_bytes()
    assert key.iv is not None
    return Cipher(AES128(secret), CBC(key.iv)).decryptor().update(world.path("cam", uri).read_bytes())


def key_files(world: World) -> set[str]:
    return {path.name for path in world.path("cam").parent.glob("*.key")}


@pytest.mark.parametrize("name", ["ems", "evo", "rms", "EVO"])
def test_aes_by_any_of_its_names(world: World, name: str) -> None:
    """drmType=ems, evo and rms all mean AES-128: every segment is encrypted, and the key beside it opens it."""
    playlist = written(world, 6, drmType=name, AESKeyCount=2)
    for segment in playlist.segments:
        assert segment.key is not None
        assert segment.key.method == "AES-128"
        packets = decrypted(world, segment.uri, segment.key)
        assert packets[:1] == packets[188:189] == SYNC
        assert not world.path("cam", segment.uri).read_bytes().startswith(SYNC * 2)
    assert all(len(world.path("cam", name).read_bytes()) == 16 for name in key_files(world))


def test_keys_change_at_segments_1_4_7_and_10(world: World) -> None:
    """Twelve segments with AESKeyCount=3 have four keys, each announced once, each with an IV of its own."""
    playlist = written(world, 13, drmType="ems", AESKeyCount=3, playlistType="appending")
    keys = [segment.key for segment in playlist.segments]
    assert len(keys) == 12
    assert [index + 1 for index in range(12) if index == 0 or keys[index] != keys[index - 1]] == [1, 4, 7, 10]
    assert len({key.uri for key in keys if key}) == len({key.iv for key in keys if key}) == 4
    assert world.path("cam").read_text().count("#EXT-X-KEY") == 4


def test_one_key_for_each_segment(world: World) -> None:
    """AESKeyCount=1 gives every segment its own key."""
    playlist = written(world, 6, drmType="ems", AESKeyCount=1, playlistType="appending")
    assert len({segment.key for segment in playlist.segments}) == 5


def test_keys_go_with_their_last_segment(world: World) -> None:
    """A rolling playlist keeps the keys of the segments that are on the disk, and no others."""
    playlist = written(world, 40, drmType="ems", AESKeyCount=2, playlistLength=5, staleRetentionCount=2)
    needed = {segment.key.uri for segment in playlist.segments if segment.key}
    there = key_files(world)
    assert needed <= there
    assert len(there) <= 9
    segments = list(world.path("cam").parent.glob("*.ts"))
    assert len(segments) <= 16


def test_the_first_entry_of_a_rolling_list_tells_its_key(world: World) -> None:
    """Who joins late learns the key of every segment in the list."""
    playlist = written(world, 20, drmType="ems", AESKeyCount=5, playlistLength=6)
    assert all(segment.key for segment in playlist.segments)
    text = world.path("cam").read_text()
    assert text.index("#EXT-X-KEY") < text.index("#EXTINF")


def test_sample_aes_leaves_the_packets_readable(world: World) -> None:
    """SAMPLE-AES encrypts pictures and sounds, not the stream around them, and says so in its tables."""
    playlist = written(world, 6, drmType="SAMPLE-AES", AESKeyCount=3)
    assert {segment.key.method for segment in playlist.segments if segment.key} == {"SAMPLE-AES"}
    data = world.path("cam", playlist.segments[-1].uri).read_bytes()
    assert {data[position : position + 1] for position in range(0, len(data), 188)} == {SYNC}
    assert b"zavc" in data[:376]
    assert b"aacd" in data[:376]
    # Each of 47 sounds a second says eight times what it is; behind the 16 clear bytes that cannot be read any more.
    assert 40 <= data.count(b"sound ") <= 100


def test_what_sample_aes_cannot_encrypt_is_told(world: World) -> None:
    """Of H.265 and AAC only the sound is written, and leftOut says so; of MP3 alone nothing is written at all."""
    for name, tracks, left_out in (("both", (HEVC, AUDIO), "h265"), ("sound", (MP3,), "mp3")):
        world.write(name, drmType="SAMPLE-AES")
        stream = world.server.streams.register(name, type_tag="INEXT", source=None)
        stream.set_tracks(tracks)
        for frame in frames(5, start=round(world.clock.seconds()) * SECOND):
            for track in tracks:
                if track.kind is frame.track.kind:
                    world.push(stream, frame._replace(track=track))
        [outbound] = [one for one in world.server.streams.outbound.values() if one.name == name]
        assert left_out in outbound.details["leftOut"] and "aac" not in outbound.details["leftOut"]
    assert read_media_playlist(world.path("both").read_bytes()).segments
    assert not world.path("sound").exists() and not list(world.path("sound").parent.glob("*.ts"))


@pytest.mark.parametrize("drm_type", ["evo", "SAMPLE-AES", "verimatrix"])
def test_fragmented_mp4_cannot_be_encrypted(world: World, drm_type: str) -> None:
    """What we cannot encrypt is refused, not written in the clear."""
    with pytest.raises(CommandError, match="segmentType"):
        written(world, 2, drmType=drm_type, segmentType="fmp4")


def test_an_unknown_drm_type_is_refused(world: World) -> None:
    """A spelling mistake in drmType does not mean no encryption."""
    with pytest.raises(CommandError, match="drmType"):
        written(world, 2, drmType="aes-256")
