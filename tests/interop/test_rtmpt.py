"""RTMP through HTTP as people meet it: ffmpeg, rtmpdump and GStreamer both ways, and other people's servers behind HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clips
from tests.interop.broadcast import Broadcast, subfolder
from tests.interop.clients import (
    PUBLISHERS,
    play_with_ffmpeg,
    play_with_rtmpdump,
    play_with_rtmpsrc,
)
from tests.interop.gates import TunnelGate
from tests.interop.packets import assert_arrived, read_packets
from tests.interop.peers import Nginx, publish
from tests.processes import Children, wait_until
from tests.server import DOORS, EmsServer

SECONDS = 6
"""How long each player plays."""

PLAYERS = {"ffmpeg": play_with_ffmpeg, "rtmpdump": play_with_rtmpdump, "rtmpsrc": play_with_rtmpsrc}

CLIPS = {"ffmpeg": "h264_bframes_aac", "rtmpsink": "h264_aac"}


@pytest.fixture(scope="module", params=CLIPS)
def broadcast(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Broadcast:
    """R-025: the broadcast of one publisher, everybody through HTTP."""
    name = request.param
    return Broadcast(PUBLISHERS[name], CLIPS[name], PLAYERS, tmp_path_factory.mktemp(name), SECONDS, "rtmpt")


def test_publisher_is_content(broadcast: Broadcast) -> None:
    """Whoever publishes through HTTP is neither cut off nor told of an error."""
    broadcast.assert_publisher_was_content()


@pytest.mark.parametrize("player", PLAYERS)
def test_player_receives_what_was_sent(broadcast: Broadcast, player: str) -> None:
    """A player behind HTTP gets an unbroken run of the very frames that were published, without complaint."""
    broadcast.assert_received(player)


@pytest.mark.parametrize("player", PLAYERS)
def test_sound_stays_with_the_picture(broadcast: Broadcast, player: str) -> None:
    """Picture and sound arrive in step as they were sent."""
    broadcast.assert_in_step(player)


@pytest.fixture
def gate(nginx: Nginx) -> Iterator[TunnelGate]:
    """A tunnel server of somebody else, with nginx-rtmp behind it."""
    with TunnelGate(nginx.port) as opened:
        yield opened


def test_pull_through_http(ems_server: EmsServer, nginx: Nginx, gate: TunnelGate, children: Children, tmp_path: Path) -> None:
    """R-026: ``pullStream uri=rtmpt://…`` brings in a stream of another server, frame for frame."""
    sent = clips.clip("h264_bframes_aac")
    publish(children, sent, nginx.url("source"))
    ems_server.api("pullStream", uri=f"rtmpt://127.0.0.1:{gate.port}/live/source", localStreamName="mine")
    ems_server.wait_for_stream("mine")
    playback = play_with_rtmpdump(children, ems_server.rtmp("mine"), tmp_path, SECONDS)()
    assert_arrived(playback.recording, sent, SECONDS)
    assert {"open", "send", "idle"} <= set(gate.commands)


def test_push_through_http(ems_server: EmsServer, nginx: Nginx, gate: TunnelGate, children: Children, tmp_path: Path) -> None:
    """R-026: ``pushStream uri=rtmpt://…`` sends a local stream to another server; when it is stopped the session is closed."""
    sent = clips.clip("h264_bframes_aac")
    publish(children, sent, ems_server.rtmp("mine"))
    ems_server.wait_for_stream("mine")
    job = ems_server.api(
        "pushStream", uri=f"rtmpt://127.0.0.1:{gate.port}/live", localStreamName="mine", targetStreamName="theirs"
    )
    wait_until(lambda: gate.commands.count("send") > 20, "the stream to be sent")
    playback = play_with_rtmpdump(children, nginx.url("theirs"), tmp_path, SECONDS)()
    assert_arrived(playback.recording, sent, SECONDS)
    ems_server.api("removeConfig", id=str(job["configId"]))
    wait_until(lambda: gate.commands[-1] == "close", "the session to be closed")


def test_the_acceptor_of_the_configuration_is_what_opens_the_port(children: Children, tmp_path: Path) -> None:
    """R-027: with the acceptor RTMPT is served on its own port, and on the RTMP port to clients that try there; not without."""
    server = EmsServer(children, subfolder(tmp_path, "with"), doors=(*DOORS, "inboundRtmpt"))
    publish(children, clips.clip("h264_aac"), server.rtmp("mine"))
    server.wait_for_stream("mine")
    urls = server.rtmp("mine", scheme="rtmpt"), server.rtmp("mine").replace("rtmp:", "rtmpt:")
    for number, url in enumerate(urls):
        playback = play_with_ffmpeg(children, url, subfolder(tmp_path, str(number)), 2)()
        assert not playback.complaints
        assert playback.recording is not None
        assert read_packets(playback.recording)["video"]
    server.stop()
    gone = play_with_ffmpeg(children, urls[0], subfolder(tmp_path, "gone"), 1)()
    assert "refused" in gone.complaints
