"""RTP that becomes a stream, without a conversation around it."""

import pytest
from twisted.internet.task import Clock

from ems.formats import sdp
from ems.formats.mpegts.sync import MAX_GARBAGE
from ems.formats.rtp.packet import build
from ems.media.frame import SECOND
from ems.protocols.rtsp.incoming import Incoming
from ems.streams.inbound import InboundStream
from ems.testing import testing_server
from tests.service.rtsp.sources import Camera

PAYLOAD = 60_000


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time, which a test may set."""
    time = [SECOND]
    monkeypatch.setattr("ems.protocols.rtsp.incoming.monotonic_ns", lambda: time[0])
    return time


def stream() -> InboundStream:
    """A stream for what comes in."""
    return testing_server(Clock()).streams.register("mine", type_tag="INP", source=None)


def test_garbage_behind_a_gap(now: list[int]) -> None:
    """When what has waited for lost packets turns out to be no transport stream, the source is given up, with the reason."""
    reasons: list[str] = []
    incoming = Incoming([sdp.transport_stream_media()], stream, reasons.append, interval=0)
    incoming.rtp(0, build(33, 1, 0, 7, b""))
    for number in range(MAX_GARBAGE // PAYLOAD + 2):
        incoming.rtp(0, build(33, 3 + number, 0, 7, bytes(PAYLOAD)))
    assert reasons == []
    now[0] += SECOND
    incoming.tick()
    assert len(reasons) == 1


def test_the_wait_for_reports(now: list[int]) -> None:
    """`rtcpWait` tells in seconds how long picture and sound have waited for the reports that never came."""
    camera, reasons = Camera(), list[str]()
    incoming = Incoming(sdp.parse(camera.sdp.encode()).medias, stream, reasons.append, interval=2.5)
    while incoming.stream is None:
        for index, packet in camera.picture():
            incoming.rtp(index, packet)
        now[0] += SECOND // 10
    assert (incoming.stream.details["rtcpWait"], incoming.stream.details["synchronisation"]) == ("2.5", "noRtcp")
    assert reasons == []
