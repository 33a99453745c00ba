"""liveFLV with ffmpeg's libraries as the sender."""

from pathlib import Path

import pytest

from tests import clips
from tests.interop.broadcast import MAX_SYNC_ERROR, subfolder
from tests.interop.clients import play_with_ffmpeg
from tests.interop.libav import Publisher
from tests.interop.packets import decoder_complaints, read_packets, run_in, sync_error
from tests.interop.transport import send_with_ffmpeg
from tests.processes import Children, wait_until
from tests.server import DOORS, EmsServer

SECONDS = 4


@pytest.fixture
def server(children: Children, tmp_path: Path) -> EmsServer:
    """A server with the liveFLV port, which waits for metadata."""
    return EmsServer(children, subfolder(tmp_path, "server"), doors=(*DOORS, "inboundLiveFlv"))


def url(server: EmsServer) -> str:
    """The address of the liveFLV port."""
    return f"tcp://127.0.0.1:{server.ports['inboundLiveFlv']}"


def test_ffmpeg_sends(children: Children, server: EmsServer, tmp_path: Path) -> None:
    """What ffmpeg sends as FLV under a name plays under it over RTMP: the very frames, in step."""
    clip = clips.clip("h264_bframes_aac")
    send_with_ffmpeg(children, clip, url(server), "-metadata", "streamName=mine", form="flv")
    server.wait_for_stream("mine")
    playback = play_with_ffmpeg(children, server.rtmp("mine"), tmp_path, SECONDS)()
    assert not playback.complaints
    assert playback.recording is not None
    received, sent = read_packets(playback.recording), read_packets(clip)
    assert len(received["video"]) > (SECONDS - 2) * clips.FRAME_RATE
    for kind in ("video", "audio"):
        run_in(received[kind], sent[kind])
    assert abs(sync_error(received, sent)) < MAX_SYNC_ERROR
    assert not decoder_complaints(playback.recording)
    assert server.api("getStreamInfo", localStreamName="mine")["type"] == "INLFLV"
    server.stop()


def test_enhanced_flv_comes_in(server: EmsServer) -> None:
    """HEVC in Enhanced FLV, from a sender that gives no name, is a stream that is called after its address."""
    with Publisher(url(server), "libx265", "aac"):
        wait_until(server.stream_names, "the stream", 20)
        [name] = server.stream_names()
        wait_until(lambda: server.api("getStreamInfo", localStreamName=name)["video"]["codec"] == "VH265", "the codec")
    assert name.startswith("127.0.0.1_")
    server.stop()
