"""Streams over WebSocket as players see them: what comes first, what follows, what ends it, and what each may ask for."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.api.describe import describe_stream
from ems.config import AcceptorConfig
from ems.errors import CommandError
from ems.media import aac, ac3, h264, vpx
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.server import Server
from ems.streams.inbound import InboundStream
from ems.testing import APPLICATION, stream_of, testing_server
from tests.service.websocket.fmp4_player import PING, PONG, TEXT, MemoryPlayer, masked
from tests.unit.media import vectors

VIDEO = h264.make_track(0, vectors.AVCC_HIGH)
OTHER_VIDEO = h264.make_track(0, vectors.AVCC_BASELINE)
AUDIO = aac.make_track(256, vectors.ASC_STEREO)

PICTURE = 40 * MILLISECOND
SOUND = 20 * MILLISECOND
GOP = 25


def picture(number: int, track: Track = VIDEO) -> Frame:
    """A frame of video, its number in its bytes; every 25th is a key frame."""
    return Frame(track, number * PICTURE, number * PICTURE, number % GOP == 0, b"\0\0\0\4" + number.to_bytes(4, "big"))


def sound(number: int) -> Frame:
    """A frame of audio."""
    return Frame(AUDIO, number * SOUND, number * SOUND, True, b"sound%d" % number)


def both(start: int, stop: int) -> list[Frame]:
    """Pictures from `start` to before `stop`, and the sound beside them."""
    return [frame for n in range(start, stop) for frame in (picture(n), sound(2 * n), sound(2 * n + 1))]


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def server(clock: Clock, log_events: list[LogEvent]) -> Iterator[Server]:
    """A server; the test fails when its log has a traceback."""
    yield testing_server(clock)
    assert [event for event in log_events if "log_failure" in event] == []


def pass_time(server: Server, seconds: float = 0.2) -> None:
    """Let time go by."""
    for _ in range(round(seconds * 20)):
        server.clock.advance(0.05)


def push(stream: InboundStream, frames: list[Frame]) -> None:
    """Let these frames come in."""
    for frame in frames:
        stream.push(frame)


def numbers(player: MemoryPlayer) -> list[int]:
    """The pictures a player has got, by number."""
    found = []
    for piece in player.pieces:
        start = piece.find(b"mdat\0\0\0\4")
        if start >= 0:
            found.append(int.from_bytes(piece[start + 8 : start + 12], "big"))
    return found


def test_a_late_joiner_begins_with_the_key_frame(server: Server) -> None:
    """Who comes in the middle of a group of pictures gets the initialisation segment and the whole group, at once."""
    stream_of(both(0, 40), server.streams, "cam")
    player = MemoryPlayer(server, "/cam")
    pass_time(server)
    assert player.status == 101
    assert player.kinds[:2] == ["ftyp", "moof"]
    assert numbers(player) == list(range(25, 40))


def test_a_message_for_each_picture(server: Server) -> None:
    """Every picture is sent when it comes, with the sound that came before it, each message a whole fragment."""
    stream = stream_of(both(0, 26), server.streams, "cam")
    player = MemoryPlayer(server, "/cam")
    pass_time(server)
    for number in range(26, 40):
        push(stream, [picture(number)])
        pass_time(server)
        assert numbers(player)[-1] == number
        push(stream, [sound(2 * number), sound(2 * number + 1)])
    for piece in player.pieces[1:]:
        moof = int.from_bytes(piece[:4], "big")
        assert piece[4:8] == b"moof"
        assert piece[moof + 4 : moof + 8] == b"mdat"
        assert len(piece) == moof + int.from_bytes(piece[moof : moof + 4], "big")
    everything = b"".join(player.pieces)
    assert [number for number in range(51, 78) if b"sound%d" % number not in everything] == []


def test_sound_alone_waits_at_most_100_ms(server: Server) -> None:
    """A stream of sound comes in fragments of up to a tenth of a second."""
    stream = stream_of([sound(0)], server.streams, "radio")
    player = MemoryPlayer(server, "/radio")
    for number in range(1, 51):
        push(stream, [sound(number)])
        pass_time(server)
    counts = [piece.count(b"sound") for piece in player.pieces[1:]]
    assert set(counts) <= {4, 5}
    assert sum(counts) > 45


def test_the_last_sound_is_not_lost(server: Server) -> None:
    """What waits for a picture when the stream ends goes out before the close frame."""
    stream = stream_of([sound(0)], server.streams, "radio")
    player = MemoryPlayer(server, "/radio")
    push(stream, [sound(1), sound(2)])
    stream.end("over")
    pass_time(server)
    assert b"sound2" in player.pieces[-1]


def test_viewers_share_the_bytes(server: Server) -> None:
    """All viewers of a stream get the same messages, made once."""
    stream = stream_of(both(0, 30), server.streams, "cam")
    players = [MemoryPlayer(server, "/cam") for _ in range(5)]
    pass_time(server)
    push(stream, both(30, 35))
    pass_time(server)
    assert len({tuple(player.pieces) for player in players}) == 1
    assert len(stream._feeds) == 1


def test_a_stream_that_comes_later(server: Server) -> None:
    """A player of a stream that is not there yet waits, and sees it from its first picture on."""
    player = MemoryPlayer(server, "/cam")
    pass_time(server, 30)
    assert (player.status, player.closing) == (101, None)
    player.peer.send(masked(PONG, b""))
    stream_of(both(0, 10), server.streams, "cam")
    pass_time(server)
    assert numbers(player) == list(range(10))


def test_the_end(server: Server) -> None:
    """When the stream ends the socket is closed with 1001; nothing is kept."""
    stream = stream_of(both(0, 10), server.streams, "cam")
    player = MemoryPlayer(server, "/cam")
    pass_time(server)
    stream.end("the encoder has gone")
    pass_time(server)
    assert player.closing is not None
    assert player.closing.close_code == 1001
    player.peer.hang_up()
    pass_time(server)
    assert server.streams.outbound == {}
    assert len(server.connections) == 0


def test_other_tracks_are_announced_in_line(server: Server) -> None:
    """A change of size is a new initialisation segment in its place, and the new pictures follow."""
    stream = stream_of(both(0, 30), server.streams, "cam")
    player = MemoryPlayer(server, "/cam")
    pass_time(server)
    stream.set_tracks((OTHER_VIDEO, AUDIO))
    push(stream, [picture(n, OTHER_VIDEO) for n in range(50, 60)])
    pass_time(server)
    assert player.kinds.count("ftyp") == 2
    second = player.kinds.index("ftyp", 1)
    assert vectors.AVCC_BASELINE in player.pieces[second]
    assert numbers(player) == [*range(25, 30), *range(50, 60)]
    sequence = [int.from_bytes(piece[20:24], "big") for piece in player.pieces if piece[4:8] == b"moof"]
    assert sequence == sorted(set(sequence))


def test_other_tracks_of_no_concern(server: Server) -> None:
    """A track of data that comes along changes nothing for players."""
    stream = stream_of(both(0, 30), server.streams, "cam")
    player = MemoryPlayer(server, "/cam")
    stream.set_tracks((VIDEO, AUDIO, Track(512, Kind.DATA, Codec.AMF0)))
    push(stream, both(30, 35))
    pass_time(server)
    assert player.kinds.count("ftyp") == 1
    assert numbers(player) == list(range(25, 35))


def test_a_pause_is_ones_own(server: Server) -> None:
    """A player that pauses gets nothing, goes on with a key frame it has not seen, and nobody else notices."""
    stream = stream_of(both(0, 30), server.streams, "cam")
    pausing, watching = MemoryPlayer(server, "/cam"), MemoryPlayer(server, "/cam")
    pass_time(server)
    pausing.say("pause")
    push(stream, both(30, 60))
    pass_time(server)
    assert numbers(pausing) == list(range(25, 30))
    pausing.say("resume=now")
    pass_time(server)
    assert numbers(pausing) == [*range(25, 30), *range(50, 60)]
    pausing.say("pause")
    pausing.say("resume")
    push(stream, both(60, 80))
    pass_time(server)
    assert numbers(pausing) == [*range(25, 30), *range(50, 60), *range(75, 80)]
    assert numbers(watching) == list(range(25, 80))


@pytest.mark.parametrize("path", ["/cam", "/cam?progressive"])
def test_ping(server: Server, path: str) -> None:
    """The text ``ping`` is answered with the time: as text, or as a block where blocks are spoken."""
    player = MemoryPlayer(server, path)
    player.say("ping")
    pass_time(server)
    (answer,) = player.messages
    if "progressive" in path:
        assert int.from_bytes(answer.payload[:4], "big") == 0xEE << 24 | len(answer.payload) - 4
    else:
        assert answer.opcode == TEXT
    told = json.loads(answer.payload[4:] if "progressive" in path else answer.payload)
    assert told["data"] == "sync"
    assert told["timestamp"] > 1_700_000_000


@pytest.mark.parametrize("text", ["", "swapstream=other", "pause_", "x" * 100])
def test_other_texts_mean_nothing(server: Server, text: str) -> None:
    """What is not understood is passed over."""
    stream_of(both(0, 30), server.streams, "cam")
    player = MemoryPlayer(server, "/cam")
    player.say(text)
    player.peer.send(masked(PING, b"are you there"))
    pass_time(server)
    assert player.closing is None
    assert numbers(player) == list(range(25, 30))
    assert b"are you there" in [message.payload for message in player.messages if message.opcode == PONG]


@pytest.mark.parametrize("path", ["/", "", "/../cam", "/a//b", "/%00", "/%2e%2e/x", "/" + "x" * 300])
def test_no_names(server: Server, path: str) -> None:
    """What can be the name of no stream is 404."""
    player = MemoryPlayer(server, path or "/?x")
    pass_time(server, 1)
    assert player.status == 404
    assert server.streams.outbound == {}


def test_whole_files_are_refused(server: Server) -> None:
    """``?fullMp4`` is not offered, and says so."""
    assert MemoryPlayer(server, "/cam?fullMp4").status == 501


def test_aliases(clock: Clock) -> None:
    """Where streams go by aliases only, an alias plays and everything else is 404."""
    server = testing_server(clock, replace(APPLICATION, has_stream_aliases=True))
    stream_of(both(0, 30), server.streams, "lobby")
    server.aliases.add("ticket", "lobby", -300)
    player = MemoryPlayer(server, "/ticket")
    pass_time(server)
    assert numbers(player) == list(range(25, 30))
    assert [MemoryPlayer(server, path).status for path in ("/ticket", "/lobby", "/other")] == [404, 404, 404]


def test_a_stream_that_mp4_cannot_carry(server: Server) -> None:
    """A stream of Speex alone is told to be unfit, with 1011, and why."""
    track = Track(256, Kind.AUDIO, Codec.FLV_SPEEX, sample_rate=16000)
    stream_of([Frame(track, 0, 0, True, b"\xb2speex")], server.streams, "old")
    player = MemoryPlayer(server, "/old")
    pass_time(server, 5)
    assert player.closing is not None
    assert player.closing.close_code == 1011
    assert b"flv-speex" in player.closing.payload


def test_one_track_that_mp4_cannot_carry(server: Server) -> None:
    """The picture comes without the sound, and the stream's object says why."""
    track = Track(256, Kind.AUDIO, Codec.FLV_SPEEX, sample_rate=16000)
    stream_of([picture(0), Frame(track, 0, 0, True, b"\xb2speex"), picture(1)], server.streams, "old")
    player = MemoryPlayer(server, "/old")
    pass_time(server, 5)
    assert numbers(player) == [0, 1]
    (viewer,) = server.streams.outbound.values()
    described = describe_stream(viewer, 0)
    assert described["type"] == "ONFMP4"
    assert "MP4 cannot carry it" in str(described["leftOut"])


def test_dolby_is_described_by_its_frames(server: Server) -> None:
    """Who joins a stream with AC-3 gets its exact configuration."""
    track = ac3.make_track(256, vectors.AC3_5_1)
    stream_of([Frame(track, 0, 0, True, vectors.AC3_5_1)], server.streams, "cinema")
    player = MemoryPlayer(server, "/cinema")
    stream = server.streams.by_name("cinema")
    assert stream is not None
    push(stream, [Frame(track, n * 32 * MILLISECOND, n * 32 * MILLISECOND, True, vectors.AC3_5_1) for n in range(1, 10)])
    pass_time(server)
    assert b"dac3" in player.pieces[0]


def test_the_size_of_vp9_pictures(server: Server) -> None:
    """Browsers want to know how large pictures are; VP9 tells in a key frame only, so the beginning waits for a good one."""
    track = vpx.make_track(0, vectors.VPCC_BOX)
    stream = stream_of([], server.streams, "cam")
    stream.set_tracks((track, AUDIO))
    player = MemoryPlayer(server, "/cam")
    for n, data in enumerate((b"damaged", b"", vectors_vp9(), b"next")):
        push(stream, [Frame(track, n * PICTURE, n * PICTURE, data != b"next", data)])
        pass_time(server)
    assert player.kinds == ["ftyp", "moof", "moof"]
    assert b"vp09" + bytes(6) + b"\0\1" + bytes(16) + b"\x01\x40\x00\xb4" in player.pieces[0]


def vectors_vp9() -> bytes:
    """The header of a VP9 key frame of 320x180."""
    return bytes.fromhex("82498342 4013f00b30") + bytes(20)


def test_statistics(server: Server) -> None:
    """Every frame that a viewer was sent is counted, sound in common fragments, too."""
    stream = stream_of([], server.streams, "cam")
    stream.set_tracks((VIDEO, AUDIO))
    MemoryPlayer(server, "/cam")
    for start in range(50):
        push(stream, both(start, start + 1))
        pass_time(server)
    push(stream, [picture(50)])
    pass_time(server)
    (viewer,) = server.streams.outbound.values()
    counted = viewer.statistics
    assert (counted.video.packets, counted.audio.packets) == (51, 100)
    assert (counted.video.dropped_packets, counted.audio.dropped_packets) == (0, 0)


def test_a_player_that_does_not_read(server: Server) -> None:
    """Who reads too slowly goes on with a key frame; what was missed is counted, and all messages stay whole."""
    stream = stream_of(both(0, 10), server.streams, "cam")
    slow, fast = MemoryPlayer(server, "/cam"), MemoryPlayer(server, "/cam")
    pass_time(server)
    slow.peer.transport.hold()
    for start in range(10, 300, 10):
        push(stream, both(start, start + 10))
        pass_time(server)
    slow.peer.transport.release()
    pass_time(server)
    push(stream, both(300, 310))
    pass_time(server)
    seen = numbers(slow)
    assert numbers(fast) == list(range(310))
    assert seen[-1] == 309
    gaps = [after for before, after in pairwise(seen) if after != before + 1]
    assert len(gaps) == 1
    assert gaps[0] % GOP == 0
    viewer = next(v for v in server.streams.outbound.values() if v.statistics.video.dropped_packets)
    assert viewer.statistics.video.dropped_packets == 310 - len(seen)


def test_events(server: Server) -> None:
    """A viewer's coming and going is told once each."""
    heard: list[tuple[str, Any]] = []
    server.events.emit = lambda what, payload: heard.append((what, payload))  # type: ignore[method-assign]
    stream = stream_of(both(0, 10), server.streams, "cam")
    player = MemoryPlayer(server, "/cam")
    MemoryPlayer(server, "/nothing").peer.hang_up()
    pass_time(server)
    player.peer.hang_up()
    pass_time(server)
    stream.end("over")
    ours = [(what, payload["name"]) for what, payload in heard if what.startswith("WS")]
    assert ours == [("WSStreamStarted", "cam"), ("WSStreamClosed", "cam")]


def test_the_tls_acceptor_needs_a_certificate(server: Server, tmp_path: Path) -> None:
    """``inboundWSSFMP4`` without key and certificate is a mistake in the configuration."""
    with pytest.raises(CommandError, match="inboundWSSFMP4"):
        MemoryPlayer(server, "/cam", "inboundWSSFMP4")
    config = AcceptorConfig(protocol="inboundWSSFMP4", ssl_key=str(tmp_path), ssl_cert=str(tmp_path))
    player = MemoryPlayer(server, "/cam", "inboundWSSFMP4", config)
    assert player.peer.protocol.tags == ("TCP", "ISSL", "IWS", "IWSFMP4")


def test_progressive_blocks_make_the_same_fragments(server: Server) -> None:
    """A progressive player that puts the blocks together has the fragments of the others."""
    stream = stream_of(both(0, 30), server.streams, "cam")
    plain, progressive = MemoryPlayer(server, "/cam"), MemoryPlayer(server, "/cam?progressive")
    pass_time(server)
    push(stream, both(30, 40))
    pass_time(server)
    assembled, moof, mdat, samples = [], b"", b"", dict[int, list[bytes]]()
    for piece in progressive.pieces:
        word, payload = int.from_bytes(piece[:4], "big"), piece[4:]
        kind, size = word >> 24, word & 0xFFFFFF
        assert size == len(payload)
        if kind == 0xFA:
            assert payload[:4] == bytes((0xF3,)) + vectors.AVCC_HIGH[1:4]
            assembled.append(payload[4:])
        elif kind == 0xF9:
            moof, mdat, samples = b"", b"", {0xFC: [], 0xFD: []}
        elif kind == 0xFB:
            moof += payload
        elif kind == 0xFE:
            mdat = payload
        elif kind == 0xFF:
            assembled.append(moof + mdat + b"".join(samples[0xFC] + samples[0xFD]))
        else:
            samples[kind].append(payload)
    assert assembled == plain.pieces


def test_a_second_long_silence_of_the_source(server: Server) -> None:
    """After a pause of the source times are exact, and durations are sensible."""
    stream = stream_of([picture(0), picture(1)], server.streams, "cam")
    player = MemoryPlayer(server, "/cam")
    later = 100 * SECOND
    push(stream, [Frame(VIDEO, later + n * PICTURE, later + n * PICTURE, n == 0, b"\0\0\0\1x") for n in range(3)])
    pass_time(server)
    times, durations = [], []
    for piece in player.pieces[1:]:
        tfdt, tfhd = piece.index(b"tfdt"), piece.index(b"tfhd")
        times.append(int.from_bytes(piece[tfdt + 8 : tfdt + 16], "big"))
        durations.append(int.from_bytes(piece[tfhd + 12 : tfhd + 16], "big"))
    assert times == [0, 3600, 9_000_000, 9_003_600, 9_007_200]
    assert durations == [3000, 3600, 3600, 3600, 3600], "the first as the track says, the others as those before them"
