"""Damaged sessions and damaged messages by the thousand: no traceback, nothing left behind, memory as before.

The usual run is short; ``EMS_MUTATIONS=200000`` runs that many messages and a tenth as many sessions, the same ones each time.
"""

import gc
import os
import random
from collections import Counter
from pathlib import Path

from twisted.logger import LogEvent

from ems.protocols.rtmp.chunks import Message, chunked
from ems.protocols.rtmp.server import RtmpConnection
from ems.streams.feed import Cursor, Feed
from ems.streams.inbound import InboundStream
from ems.streams.outbound import OutboundStream
from ems.streams.outlet import Outlet
from ems.testing import MemoryPeer
from tests.conversation import (
    AAC_HEADER,
    AUDIO,
    AVC_HEADER,
    COMMAND,
    DATA,
    VIDEO,
    MemoryWorld,
    aac,
    audio,
    avc,
    create_stream,
    play,
    publish,
    video,
)
from tests.service.rtmp.sessions import HANDSHAKE, OPENING, PLAYING, PUBLISHING, on_the_wire
from tests.unit.media.mutation import mutated

MESSAGES = int(os.environ.get("EMS_MUTATIONS", "4000"))
SESSIONS = max(MESSAGES // 10, 400)

MEMORY = 24 << 20
"""What the process may grow by between the first tenth of a run and its end: the allocator's own reserve, no leak."""


def resident_bytes() -> int:
    """Memory of this process, from the operating system."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def living() -> Counter[str]:
    """How many of the server's objects are alive."""
    gc.collect()
    kinds = (RtmpConnection, InboundStream, OutboundStream, Cursor, Outlet, Feed)
    return Counter(kind.__name__ for thing in gc.get_objects() for kind in kinds if isinstance(thing, kind))


def forget(world: MemoryWorld, log_events: list[LogEvent]) -> None:
    """Let everybody hang up, and the fakes forget them; log events hold connections, too."""
    assert [event for event in log_events if "log_failure" in event] == []
    for peer in world.peers:
        peer.hang_up()
    world.pass_time(0.5)
    world.peers.clear()
    world._clients.clear()
    log_events.clear()


def test_damaged_sessions(world: MemoryWorld, log_events: list[LogEvent]) -> None:
    """Whole sessions of publishing and of playing, damaged and in pieces of any size, hurt nobody and leave nothing."""
    chance = random.Random(7)
    before = living()
    sessions = [on_the_wire(PUBLISHING), on_the_wire(PLAYING), on_the_wire(PUBLISHING + PLAYING, 60_000)]
    memory = 0
    for number, session in enumerate(mutated(sessions, SESSIONS)):
        peer = MemoryPeer(world.server, "inboundRtmp")
        peer.send(HANDSHAKE)
        at = 0
        while at < len(session):
            size = chance.choice((50, 500, 5000))
            peer.send(session[at : at + size])
            at += size
            if not chance.randrange(4):
                world.clock.advance(0.05)
        world.peers.append(peer)
        if number % 5 == 4:
            forget(world, log_events)
            assert len(world.server.connections) == 0
        if number == SESSIONS // 10:
            gc.collect()
            memory = resident_bytes()
    forget(world, log_events)
    del peer
    assert living() == before
    assert resident_bytes() - memory < MEMORY


def test_damaged_messages(world: MemoryWorld, log_events: list[LogEvent]) -> None:
    """Messages whose payload, type, stream or time is damaged, in the midst of publishing and playing, do no harm either."""
    chance = random.Random(8)
    before = living()
    originals = [*PUBLISHING[2:], *PLAYING[2:]]
    payloads = mutated([message.payload for message in originals], MESSAGES)
    types = (AUDIO, VIDEO, DATA, COMMAND, 15, 17, 22, 1, 2, 3, 4, 5, 6, 0, 255)
    peer: MemoryPeer | None = None
    memory = 0
    sent = 0
    for number, payload in enumerate(payloads):
        if peer is None or peer.transport.disconnecting or not peer.connected or sent > 200:
            forget(world, log_events)
            peer, sent = _publishing_and_playing(world), 0
        type_id = next((m.type_id for m in originals if m.payload[:6] == payload[:6]), VIDEO)
        if not chance.randrange(10):
            type_id = chance.choice(types)
        if type_id in (1, 2) and chance.randrange(20):
            continue
        timestamp = chance.choice((number * 20, chance.randrange(1 << 32), 0))
        message = Message(type_id, chance.choice((1, 1, 1, 2, 3, 0, 99)), timestamp & 0xFFFFFFFF, payload)
        peer.send(chunked(3, message, 60_000))
        sent += 1
        if number % 10 == 0:
            world.clock.advance(0.05)
        if number == MESSAGES // 10:
            gc.collect()
            memory = resident_bytes()
    forget(world, log_events)
    peer = None
    assert living() == before
    assert resident_bytes() - memory < MEMORY


def _publishing_and_playing(world: MemoryWorld) -> MemoryPeer:
    """A client that publishes on message stream 1 and plays the same on 2."""
    peer = MemoryPeer(world.server, "inboundRtmp")
    peer.send(HANDSHAKE)
    size = chunked(2, Message(1, 0, 0, (60_000).to_bytes(4, "big")), 128)
    opening = [*OPENING, create_stream(3), publish("cam", 1), play("cam", 2), video(0, AVC_HEADER), audio(0, AAC_HEADER)]
    peer.send(size + on_the_wire([*opening, video(0, avc(b"1", key=True)), audio(0, aac(b"1"))], 60_000))
    world.peers.append(peer)
    return peer
