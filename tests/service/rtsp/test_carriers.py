"""The way out over UDP: how much leaves at once."""

from types import SimpleNamespace
from typing import Any

from ems.net.udp import Run
from ems.protocols.rtsp.carriers import DatagramOutlet
from ems.protocols.rtsp.description import offered_media
from ems.protocols.rtsp.feed import DatagramFeed, Form
from ems.streams.feed import Cursor
from tests.service.rtsp.clients import World, picture


class Port:
    """A socket that remembers how many bytes it was given."""

    def __init__(self) -> None:
        self.sent = 0

    def send_run(self, run: Run) -> bool:
        """All of it leaves."""
        self.sent += len(run.data)
        return True


def test_a_late_joiner_gets_portions() -> None:
    """A group of pictures of ordinary size comes in portions that a receiver's ordinary buffer holds, pause by pause."""
    world = World()
    frames = [picture(number) for number in range(25)]
    body = bytes(9000)
    stream = world.stream(frame._replace(data=(9005).to_bytes(4, "big") + frame.data[4:] + body) for frame in frames)
    fan_out, form = world.server.streams.fan_out, Form(offered_media(stream.tracks, ts=False))
    feed = stream.feed(form, lambda: DatagramFeed(stream, fan_out, form))
    viewer, port = SimpleNamespace(bytes_sent=0), Port()
    ways: Any = {0: port, 1: port}
    stand_in: Any = viewer
    outlet: Any = DatagramOutlet(stand_in, fan_out, world.clock, ways)
    cursor = Cursor(feed, outlet)
    portions = [port.sent]
    while cursor.position < feed.end:
        world.clock.advance(DatagramOutlet.PAUSE)
        portions.append(port.sent - sum(portions))
    assert len(portions) == 25 * 9000 // DatagramOutlet.PORTION + 1
    assert max(portions) <= DatagramOutlet.PORTION + DatagramFeed.BATCH_BYTES
    assert viewer.bytes_sent == port.sent > 25 * 9000
