"""Codecs: what goes in comes out, to every client that can take it and to none that cannot."""

from typing import Any

import pytest

from ems.formats import amf0
from ems.media.track import Codec
from tests.conversation import (
    AAC_HEADER,
    AUDIO,
    AVC_HEADER,
    DATA,
    VIDEO,
    MemoryWorld,
    RtmpClient,
    aac,
    audio,
    avc,
    in_memory,
    video,
)
from tests.unit.media.vectors import AC3_STEREO, ASC_STEREO, AV1C, AVCC_HIGH, HVCC_MAIN, OPUS_STEREO, STREAMINFO, VPCC_BOX

ANYTHING = {"fourCcList": ["*"], "capsEx": 2.0}

HEVC_HEADER = b"\x90hvc1" + HVCC_MAIN
HEVC_KEY = b"\x93hvc1" + b"\0\0\0\4\x26\1ab"


async def publisher_of(world: MemoryWorld, *bodies: tuple[int, bytes]) -> RtmpClient:
    """A publisher that has sent these messages: message type and tag body, 20 ms apart."""
    client = await world.client()
    await client.publish("cam")
    for index, (type_id, body) in enumerate(bodies):
        client >> (video if type_id == VIDEO else audio)(20 * index, body)
    return client


async def player_of(world: MemoryWorld, **properties: Any) -> RtmpClient:
    """A player that has got everything there is."""
    client = await world.client(**properties)
    await client.play("cam")
    world.pass_time(0.2)
    return client


LEGACY = {
    "Sorenson": (VIDEO, [b"\x12key picture", b"\x22inter"]),
    "Screen": (VIDEO, [b"\x13key", b"\x23inter"]),
    "VP6": (VIDEO, [b"\x14\0key", b"\x24\0inter"]),
    "VP6 with alpha": (VIDEO, [b"\x15\0key", b"\x25\0inter"]),
    "Screen 2": (VIDEO, [b"\x16key"]),
    "Nellymoser": (AUDIO, [b"\x6anelly"]),
    "Nellymoser 8 kHz": (AUDIO, [b"\x52nelly"]),
    "Speex": (AUDIO, [b"\xb2speex"]),
    "ADPCM": (AUDIO, [b"\x1eadpcm"]),
    "PCM": (AUDIO, [b"\x3fpcm"]),
    "MP3": (AUDIO, [b"\x2f\xff\xfb\x90\x64mp3"]),
    "MP3 8 kHz": (AUDIO, [b"\xe2\xff\xe3mp3"]),
    "G.711 A-law": (AUDIO, [b"\x72alaw"]),
    "G.711 mu-law": (AUDIO, [b"\x82mulaw"]),
}


@pytest.mark.parametrize("codec", LEGACY)
@in_memory
async def test_old_codecs_pass_byte_for_byte(world: MemoryWorld, codec: str) -> None:
    """Codecs that only Flash knew reach any player exactly as they were published."""
    type_id, bodies = LEGACY[codec]
    await publisher_of(world, *[(type_id, body) for body in bodies])
    player = await player_of(world)
    assert player.payloads(type_id) == bodies


ENHANCED = {
    "HEVC": (VIDEO, "hvc1", Codec.H265, HEVC_HEADER, HEVC_KEY),
    "AV1": (VIDEO, "av01", Codec.AV1, b"\x90av01" + AV1C, b"\x91av01" + b"\x12\0obus"),
    "VP9": (VIDEO, "vp09", Codec.VP9, b"\x90vp09" + VPCC_BOX[4:], b"\x91vp09" + b"frame"),
    "VP8": (VIDEO, "vp08", Codec.VP8, b"\x90vp08" + VPCC_BOX[4:], b"\x91vp08" + b"frame"),
    "Opus": (AUDIO, "Opus", Codec.OPUS, b"\x90Opus" + OPUS_STEREO, b"\x91Opus" + b"packet"),
    "FLAC": (AUDIO, "fLaC", Codec.FLAC, b"\x90fLaC" + STREAMINFO, b"\x91fLaC" + b"frame"),
    "AC-3": (AUDIO, "ac-3", Codec.AC3, b"", b"\x91ac-3" + AC3_STEREO),
}


@pytest.mark.parametrize("name", ENHANCED)
@in_memory
async def test_new_codecs_reach_those_who_know_them(world: MemoryWorld, name: str) -> None:
    """A codec of Enhanced RTMP is played to clients that announce its FourCC, and left out for those that do not."""
    type_id, fourcc, codec, header, frame = ENHANCED[name]
    await publisher_of(world, *[(type_id, body) for body in (header, frame) if body])
    assert [track.codec for track in world.server.streams.inbound["cam"].tracks] == [codec]
    knowing = await player_of(world, fourCcList=[fourcc])
    if fourcc == "ac-3":
        assert knowing.payloads(type_id) == [frame]
    else:
        assert knowing.payloads(type_id)[1] == frame
        assert knowing.payloads(type_id)[0][:5] == header[:5]
    old = await player_of(world)
    other = await player_of(world, fourCcList=["none"])
    assert old.payloads(type_id) == other.payloads(type_id) == []


@pytest.mark.parametrize(
    ("announced", "gets"),
    [
        ({"fourCcList": ["*"]}, True),
        ({"videoFourCcInfoMap": {"hvc1": 1.0}}, True),
        ({"videoFourCcInfoMap": {"hvc1": 4.0}}, True),
        ({"videoFourCcInfoMap": {"hvc1": 2.0}}, False),
        ({"videoFourCcInfoMap": {"hvc1": float("nan")}}, False),
        ({"fourCcList": "hvc1"}, False),
        ({"fourCcList": [None, 7.0, ["hvc1"], "hvc1"]}, True),
        ({}, False),
    ],
)
@in_memory
async def test_the_ways_to_announce_a_codec(world: MemoryWorld, announced: dict[str, Any], gets: bool) -> None:
    """Lists, wild cards and capability maps are understood; a client that can only encode HEVC does not get it."""
    await publisher_of(world, (VIDEO, HEVC_HEADER), (VIDEO, HEVC_KEY), (AUDIO, AAC_HEADER), (AUDIO, aac(b"s")))
    player = await player_of(world, **announced)
    assert bool(player.payloads(VIDEO)) is gets
    assert aac(b"s") in player.payloads(AUDIO)


@in_memory
async def test_a_player_without_hevc_still_hears_the_sound(world: MemoryWorld) -> None:
    """Who cannot take the pictures gets the sound at once, and metadata that does not promise pictures."""
    await publisher_of(world, (VIDEO, HEVC_HEADER), (VIDEO, HEVC_KEY), (AUDIO, AAC_HEADER), (AUDIO, aac(b"s")))
    player = await player_of(world)
    metadata = amf0.decode_all(next(body for body in player.payloads(DATA) if b"onMetaData" in body))[1]
    assert "videocodecid" not in metadata
    assert metadata["audiocodecid"] == 10


@in_memory
async def test_codec_ids_of_metadata_are_fourccs_for_new_codecs(world: MemoryWorld) -> None:
    """videocodecid and audiocodecid are the FourCC as a number, as Enhanced RTMP has it."""
    await publisher_of(world, (VIDEO, HEVC_HEADER), (VIDEO, HEVC_KEY), (AUDIO, ENHANCED["Opus"][3]), (AUDIO, ENHANCED["Opus"][4]))
    player = await player_of(world, **ANYTHING)
    metadata = amf0.decode_all(next(body for body in player.payloads(DATA) if b"onMetaData" in body))[1]
    assert metadata["videocodecid"] == int.from_bytes(b"hvc1", "big")
    assert metadata["audiocodecid"] == int.from_bytes(b"Opus", "big")


@in_memory
async def test_hevc_with_codec_id_12_becomes_enhanced(world: MemoryWorld) -> None:
    """The widespread non-standard HEVC of older encoders is played in the standard form, composition time included."""
    nal = b"\0\0\0\4\x26\1ab"
    await publisher_of(world, (VIDEO, b"\x1c\0\0\0\0" + HVCC_MAIN), (VIDEO, b"\x1c\1\0\0\x28" + nal))
    player = await player_of(world, **ANYTHING)
    assert player.payloads(VIDEO)[1] == b"\x91hvc1\0\0\x28" + nal


@in_memory
async def test_h264_in_enhanced_form_is_played_in_the_old_one(world: MemoryWorld) -> None:
    """An encoder that sends H.264 and AAC by FourCC is seen and heard by every player."""
    await publisher_of(
        world,
        (VIDEO, b"\x90avc1" + AVCC_HIGH),
        (VIDEO, b"\x91avc1\0\0\x28\0\0\0\2\x65a"),
        (AUDIO, b"\x90mp4a" + ASC_STEREO),
        (AUDIO, b"\x91mp4asound"),
    )
    player = await player_of(world)
    assert player.payloads(VIDEO) == [AVC_HEADER, b"\x17\1\0\0\x28\0\0\0\2\x65a"]
    assert player.payloads(AUDIO) == [AAC_HEADER, aac(b"sound")]


def many_tracks(packet_type: int, bodies: dict[int, bytes]) -> bytes:
    """A multitrack video tag of H.264 tracks."""
    tracks = b"".join(bytes((track_id,)) + len(body).to_bytes(3, "big") + body for track_id, body in bodies.items())
    return b"\x96" + bytes((1 << 4 | packet_type,)) + b"avc1" + tracks


@in_memory
async def test_multitrack_goes_to_those_who_read_it(world: MemoryWorld) -> None:
    """Of several pictures in one stream every player gets the first, and one that reads multitrack gets them all."""
    frames = {i: b"\0\0\0\2\x65" + bytes((i,)) for i in (0, 1, 255)}
    await publisher_of(world, (VIDEO, many_tracks(0, dict.fromkeys(frames, AVCC_HIGH))), (VIDEO, many_tracks(3, frames)))
    simple = await player_of(world)
    assert simple.payloads(VIDEO) == [AVC_HEADER, b"\x17\1\0\0\0" + frames[0]]
    full = await player_of(world, **ANYTHING)
    assert full.payloads(VIDEO)[3:] == [
        b"\x17\1\0\0\0" + frames[0],
        b"\x96\x03avc1\1" + frames[1],
        b"\x96\x03avc1\2" + frames[255],
    ]


@in_memory
async def test_nanoseconds_of_modex_are_kept_inside(world: MemoryWorld) -> None:
    """Times finer than a millisecond are understood on the way in."""
    body = b"\x97" + b"\2" + (500_000).to_bytes(3, "big") + b"\3" + b"hvc1" + HEVC_KEY[5:]
    await publisher_of(world, (VIDEO, HEVC_HEADER), (VIDEO, HEVC_KEY), (VIDEO, body))
    frames = world.server.streams.inbound["cam"]._gop.frames
    assert frames[0].dts % 1_000_000 == 500_000


@in_memory
async def test_a_change_of_codec_is_followed(world: MemoryWorld) -> None:
    """An encoder that switches from H.264 to HEVC in mid-stream is played on, from the new key frame."""
    publisher = await publisher_of(world, (VIDEO, AVC_HEADER), (VIDEO, avc(b"old", key=True)))
    player = await player_of(world, **ANYTHING)
    publisher >> video(60, HEVC_HEADER) >> video(60, avc(b"stray", key=False)) >> video(80, HEVC_KEY)
    world.pass_time(0.2)
    assert player.payloads(VIDEO) == [AVC_HEADER, avc(b"old", key=True), HEVC_HEADER, HEVC_KEY]
