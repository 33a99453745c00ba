"""A transport stream that is sent to a TCP port of the server."""

import random
from itertools import pairwise

import pytest

from ems.api.describe import describe_stream
from ems.formats.mpegts.mux import TIME_OFFSET
from ems.formats.mpegts.packets import TICKS_RANGE, to_nanoseconds
from ems.formats.mpegts.psi import Stream
from ems.formats.mpegts.sync import MAX_GARBAGE
from ems.media.frame import MILLISECOND, SECOND, Frame
from ems.media.track import Kind
from tests.service.mpegts.worlds import MemoryTs, contents
from tests.ts_streams import AAC_FRAME, broadcast, muxed, pid_of, split, tables


def nal_tails(frames: list[Frame]) -> list[bytes]:
    """The last NAL unit of each picture, which the test has made."""
    return [data[data.rindex(b"<") :] for data in contents(frames, Kind.VIDEO)]


@pytest.mark.parametrize("piece", [1, 188, 1000, 65_536])
def test_what_is_sent_becomes_a_stream(memory: MemoryTs, piece: int) -> None:
    """All pictures and sounds come out as they went in, at the same times, however the network has cut them."""
    frames, sink = broadcast(20), memory.watch()
    data, peer = muxed(frames), memory.peer(local_stream_name="cam")
    for start in range(0, len(data), piece):
        peer.send(data[start : start + piece])
    stream = memory.server.streams.inbound["cam"]
    assert stream.type_tag == "INTS"
    peer.hang_up()
    memory.pass_time(0.1)
    assert nal_tails(sink.frames) == nal_tails(frames)
    assert contents(sink.frames, Kind.AUDIO) == contents(frames, Kind.AUDIO)
    for kind in (Kind.VIDEO, Kind.AUDIO):
        sent = [frame.dts for frame in frames if frame.track.kind is kind]
        came = [frame.dts for frame in sink.frames if frame.track.kind is kind]
        assert max(abs(a - b) for a, b in zip(sent, came, strict=True)) < MILLISECOND
    assert sink.reason is not None


def test_a_stream_without_a_name_gets_one(memory: MemoryTs) -> None:
    """Each connection to an acceptor without a name is a stream of its own."""
    for _ in range(2):
        memory.peer().send(muxed(broadcast(3)))
    names = [*memory.server.streams.inbound]
    assert len(names) == 2
    assert all(name.startswith("ts_") and len(name.rpartition("_")[2]) == 4 for name in names)


def test_a_taken_name_closes_the_connection(memory: MemoryTs) -> None:
    """Who comes second under the same name is turned away; who came first is not disturbed."""
    first, second = memory.peer(local_stream_name="cam"), memory.peer(local_stream_name="cam")
    first.send(muxed(broadcast(3)))
    second.send(muxed(broadcast(3)))
    memory.pass_time(0.1)
    assert first.connected
    assert not second.connected


def test_ingest_points_hide_the_name(memory: MemoryTs) -> None:
    """With ingest points on, the acceptor's name is the private one; an acceptor without one is closed to everybody."""
    points = memory.server.ingest_points
    points.enabled = True
    points._add("secret", "public")
    known, unknown = memory.peer(local_stream_name="secret"), memory.peer(local_stream_name="public")
    known.send(muxed(broadcast(3)))
    unknown.send(muxed(broadcast(3)))
    memory.pass_time(0.1)
    [stream] = memory.server.streams.inbound.values()
    assert (stream.name, stream.details["ingestPoint"]) == ("public", "secret")
    assert not unknown.connected


def test_garbage_is_cut_off_after_a_megabyte(memory: MemoryTs) -> None:
    """Whoever sends something else cannot fill the memory, and is closed."""
    peer, noise = memory.peer(), random.Random(2).randbytes(1 << 16).replace(b"\x47", b"\x46")
    for sent in range(0, MAX_GARBAGE, len(noise)):
        assert peer.connected, sent
        peer.send(noise)
    peer.send(noise)
    memory.pass_time(0.1)
    assert not peer.connected


def test_a_program_that_cannot_be_played_is_told(memory: MemoryTs, log_events: list[dict[str, object]]) -> None:
    """A stream of MPEG-2 video alone never begins; the log says what is in it, and the connection ends."""
    peer = memory.peer()
    peer.send(tables(Stream(0x200, 0x02)) * 10)
    memory.pass_time(22)
    assert not peer.connected
    assert any("PID 512 has type 0x02" in str(event.get("reason", "")) for event in log_events)


def test_lost_packets_cost_what_they_were_in(memory: MemoryTs) -> None:
    """A lossy line costs single pictures; the rest is whole and in step, and the stream's object says how much was lost."""
    frames, sink, chance = broadcast(100), memory.watch(), random.Random(4)
    packets = split(muxed(frames))
    kept = [packet for packet in packets if pid_of(packet) in (0, 0x1000) or chance.random() > 0.01]
    peer = memory.peer(local_stream_name="cam")
    peer.send(b"".join(kept))
    memory.pass_time(1.2)
    stream = describe_stream(memory.server.streams.inbound["cam"], 0)
    report = stream["transportStream"]
    assert isinstance(report, dict)
    assert 3 < int(str(report["continuityErrors"])) < 30
    sent = set(nal_tails(frames))
    assert 80 < len(sink.frames) < len(frames)
    assert all(tail in sent for tail in nal_tails(sink.frames))
    sounds = [frame for frame in sink.frames if frame.track.kind is Kind.AUDIO]
    assert all(abs((b.dts - a.dts) / AAC_FRAME - round((b.dts - a.dts) / AAC_FRAME)) < 0.01 for a, b in pairwise(sounds))


def test_the_clock_may_wrap(memory: MemoryTs) -> None:
    """After 26 hours the 33-bit clocks begin anew; viewers see nothing of it."""
    wrap = to_nanoseconds(TICKS_RANGE - TIME_OFFSET) - 10 * 40 * MILLISECOND
    frames, sink = broadcast(50), memory.watch()
    memory.peer().send(muxed([frame._replace(dts=frame.dts + wrap, pts=frame.pts + wrap) for frame in frames]))
    pictures = [frame.dts for frame in sink.frames if frame.track.kind is Kind.VIDEO]
    assert len(pictures) >= 49
    assert all(abs(b - a - 40 * MILLISECOND) < MILLISECOND for a, b in pairwise(pictures))
    assert max(pictures) < 3 * SECOND


def test_a_silent_sender_ends(memory: MemoryTs) -> None:
    """A stream of which nothing comes any more goes with its connection, and its name is free again."""
    peer = memory.peer(local_stream_name="cam")
    peer.send(muxed(broadcast(3)))
    memory.pass_time(3)
    assert not peer.connected
    assert not memory.server.streams.inbound


@pytest.mark.parametrize("seed", range(5))
def test_damaged_streams_do_no_harm(memory: MemoryTs, seed: int) -> None:
    """Whatever is damaged on the way, the connection lives on or ends in order; the log has no traceback."""
    chance, whole = random.Random(seed), muxed(broadcast(40))
    for number in range(10):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 300)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        memory.peer(local_stream_name=f"cam{number}").send(bytes(damaged))
    memory.pass_time(0.2)
