"""Damaged conversations by the hundred, from clients and from servers: no traceback, nothing left behind.

The usual run is short; ``EMS_MUTATIONS=200000`` runs a tenth as many conversations, the same ones each time.
"""

import os
import random
import re
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from ems.formats.sdp import SessionDescription, media_of
from ems.protocols.rtsp import wire
from ems.protocols.rtsp.wire import interleaved, response
from tests.service.rtsp.clients import AUDIO, TCP, VIDEO, Client, World
from tests.service.rtsp.far_rtsp import PUBLIC, SESSION, FarRtspWorld
from tests.service.rtsp.sources import Camera
from tests.unit.media.mutation import mutated

CONVERSATIONS = max(int(os.environ.get("EMS_MUTATIONS", "3000")) // 10, 300)

URL = "rtsp://h/live/new"

ITS_SESSION = b"@session@"
"""Stands for the number that the server gives."""


def asked(number: int, method: str, url: str = URL, body: bytes = b"", **headers: str) -> bytes:
    """One request, in the session that there is by then."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return wire.request(method, url, {"CSeq": str(number), "Session": ITS_SESSION.decode(), **lines}, body)


def publishing() -> list[bytes]:
    """What a client sends that publishes pictures and sound inside the connection."""
    camera = Camera()
    medias = [media_of(track, 96 + index, control=f"streamid={index}") for index, track in enumerate((VIDEO, AUDIO))]
    sdp = bytes(SessionDescription(name="new", medias=[media for media in medias if media is not None]))
    media = [interleaved(2 * index, packet) for index, packet in camera.pictures(8)]
    reports = [interleaved(2 * index + 1, packet) for index, packet in camera.reports()]
    return [
        asked(1, "OPTIONS"),
        asked(2, "ANNOUNCE", body=sdp, Content_Type="application/sdp"),
        asked(3, "SETUP", f"{URL}/streamid=0", Transport=TCP.format(0, 1) + ";mode=record"),
        asked(4, "SETUP", f"{URL}/streamid=1", Transport=TCP.format(2, 3) + ";mode=record"),
        asked(5, "RECORD", Range="npt=0-"),
        b"".join((*reports, *media)),
        asked(6, "TEARDOWN"),
    ]


def playing() -> list[bytes]:
    """What a client sends that plays, pauses and asks for parameters."""
    url = "rtsp://h/cam"
    return [
        asked(1, "DESCRIBE", url, Accept="application/sdp"),
        asked(2, "SETUP", f"{url}/trackID=1", Transport=TCP.format(0, 1) + ",RTP/AVP;unicast;client_port=5000-5001"),
        asked(3, "SETUP", f"{url}/trackID=2", Transport=TCP.format(2, 3)),
        asked(4, "PLAY", url, Range="npt=0.000-"),
        asked(5, "GET_PARAMETER", url, b"packets_received\r\n", Content_Type="text/parameters"),
        asked(6, "PAUSE", url),
        asked(7, "PLAY", url, Range="clock=20200101T000000Z-"),
        asked(8, "TEARDOWN", url),
    ]


@pytest.mark.parametrize("conversation", [publishing, playing])
def test_damaged_clients(rtsp: World, conversation: object) -> None:
    """Whatever a client gets wrong, it is answered or thrown out; its streams go with it."""
    assert callable(conversation)
    chance, done = random.Random(31), 0
    rtsp.stream()
    for damaged in damaged_parts(conversation(), CONVERSATIONS, chance):
        client = rtsp.client()
        client.deaf = True
        for part in damaged:
            say_in_pieces(client, part, chance)
        client.peer.hang_up()
        rtsp.pass_time(0.1)
        assert len(rtsp.server.connections) == 0
        assert set(rtsp.server.streams.inbound) == {"cam"}
        done += client.raw.count(b" 200 OK")
    assert done > 3 * CONVERSATIONS


def say_in_pieces(client: Client, data: bytes, chance: random.Random) -> None:
    """Send bytes cut in two somewhere, and let some time go by now and then."""
    known = re.search(rb"Session: (\w+)", client.raw)
    data = data.replace(b"Session: %b\r\n" % ITS_SESSION, known[0] + b"\r\n" if known else b"")
    cut = chance.randrange(len(data) + 1)
    client.send(data[:cut])
    client.send(data[cut:])
    if not chance.randrange(4):
        client.world.pass_time(0.1)


def test_damaged_servers(log_events: list[LogEvent]) -> None:
    """Whatever a server that is pulled from gets wrong, the pull goes on or ends and says why; nothing stays of it."""
    chance, played = random.Random(32), 0
    for damaged in damaged_parts(answers(), CONVERSATIONS, chance):
        world = FarRtspWorld()
        world.run(pull_from(world, damaged))
        played += b"PLAY rtsp" in world.network.far[0].raw
        world.close()
        assert [event for event in log_events if "log_failure" in event] == []
        log_events.clear()
    assert played > CONVERSATIONS // 4


def answers() -> list[bytes]:
    """What a server sends of itself, were it asked in the usual order."""
    camera = Camera()
    sdp = camera.sdp.replace("\n", "\r\n").encode()
    given = [
        ({"Public": PUBLIC}, b""),
        ({"Content-Type": "application/sdp", "Content-Base": "rtsp://192.0.2.1/cam/"}, sdp),
        ({"Session": f"{SESSION};timeout=60", "Transport": TCP.format(0, 1) + ";ssrc=00001000"}, b""),
        ({"Session": SESSION, "Transport": TCP.format(2, 3)}, b""),
        ({"Session": SESSION, "RTP-Info": "url=trackID=0;seq=10;rtptime=1000,url=trackID=1;seq=10;rtptime=2000"}, b""),
    ]
    packets = [interleaved(2 * index + 1, packet) for index, packet in camera.reports()]
    packets += [interleaved(2 * index, packet) for index, packet in camera.pictures(8)]
    packets += [interleaved(1, camera.goodbye(0))]
    return [
        *(response(200, {"CSeq": str(number), **headers}, body) for number, (headers, body) in enumerate(given, 1)),
        b"".join(packets),
    ]


async def pull_from(world: FarRtspWorld, parts: list[bytes]) -> None:
    """Pull, and be given these answers one after the other, each when something is asked."""
    attempt = world.pull()
    far = await world.far()
    for part in parts:
        for _ in range(3):
            if not far.requests:
                await world.seconds(0.02)
        far.requests.clear()
        far.send(part)
        await world.seconds(0.02)
    attempt.stop("the test ends")


def damaged_parts(parts: list[bytes], count: int, chance: random.Random) -> Iterator[list[bytes]]:
    """`count` conversations of which one part is damaged, each as often as any other."""
    versions = [mutated([part], count) for part in parts]
    for _ in range(count):
        place = chance.randrange(len(parts))
        yield [*parts[:place], next(versions[place]), *parts[place + 1 :]]
