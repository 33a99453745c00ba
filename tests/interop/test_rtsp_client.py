"""Pulls from and pushes to other people's RTSP servers: what they have comes out here, and the other way round."""

import subprocess
from pathlib import Path

import pytest

from tests import clips
from tests.interop.packets import decoder_complaints, read_packets, run_in, sync_error
from tests.processes import Child, Children, free_port, wait_until
from tests.server import EmsServer

SYSTEM_PYTHON = "/usr/bin/python3"
"""The one that has GStreamer's bindings (apt: gir1.2-gst-rtsp-server-1.0)."""

SECONDS = 4

MAX_SYNC_ERROR = 0.040
"""Seconds between picture and sound that nobody notices (EBU R 37)."""

KIND = "h264_bframes_aac"


class GstServer:
    """GStreamer's RTSP server (`gst_rtsp_server`)."""

    def __init__(self, children: Children, clip: Path, *login: str) -> None:
        self.port = free_port()
        script = Path(__file__).parent / "gst_rtsp_server.py"
        self._child: Child = children.start(SYSTEM_PYTHON, script, str(self.port), clip, *login)
        self._user = f"{login[0]}@" if login else ""
        wait_until(lambda: "listening" in self.output or not self._child.running, "GStreamer's RTSP server to listen")
        assert self._child.running, f"gir1.2-gst-rtsp-server-1.0 is needed:\n{self.output}"

    @property
    def output(self) -> str:
        """What it has printed: what it has decoded."""
        return self._child.output

    def url(self, path: str) -> str:
        """The address of one of its streams, with user and password when it asks for them."""
        return f"rtsp://{self._user}127.0.0.1:{self.port}/{path}"


def record(server: EmsServer, path: Path) -> Path:
    """What a player of the stream ``mine`` receives in some seconds."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", server.rtmp("mine"), "-t", str(SECONDS), "-c", "copy", str(path)]
    subprocess.run(command, check=True, timeout=40)
    return path


PULLS = {
    "udp": ("av", {}, ()),
    "tcp": ("av", {"forceTcp": "1"}, ()),
    "http": ("av", {"httpProxy": "self"}, ()),
    "ts-udp": ("ts", {}, ()),
    "ts-tcp": ("ts", {"forceTcp": "1"}, ()),
    "digest": ("av", {"forceTcp": "1"}, ("u:p",)),
    "basic": ("av", {}, ("u:p", "basic")),
    "http-digest": ("av", {"httpProxy": "self"}, ("u:p",)),
}


@pytest.mark.parametrize("way", PULLS)
def test_pull(children: Children, ems_server: EmsServer, tmp_path: Path, way: str) -> None:
    """R-041, R-044, R-049, R-050, R-052: every frame, unchanged and in step, whatever carries it."""
    path, settings, login = PULLS[way]
    clip = clips.clip(KIND)
    source = GstServer(children, clip, *login)
    ems_server.api("pullStream", uri=source.url(path), localStreamName="mine", **settings)
    ems_server.wait_for_stream("mine")
    recording = record(ems_server, tmp_path / "out.mkv")
    received, sent = read_packets(recording), read_packets(clip)
    assert len(received["video"]) > (SECONDS - 2) * clips.FRAME_RATE
    for kind in ("video", "audio"):
        run_in(received[kind], sent[kind])
    assert abs(sync_error(received, sent)) < MAX_SYNC_ERROR
    assert not decoder_complaints(recording)


@pytest.mark.parametrize(
    ("settings", "login"), [({}, ()), ({"forceTcp": "1"}, ()), ({"httpProxy": "self"}, ()), ({"forceTcp": "1"}, ("u:p",))]
)
def test_push(children: Children, ems_server: EmsServer, settings: dict[str, str], login: tuple[str, ...]) -> None:
    """R-066: another server takes picture and sound, under the target's name, and decodes them."""
    clip = clips.clip(KIND)
    sink = GstServer(children, clip, *login)
    children.start("ffmpeg", "-nostdin", "-v", "error", "-re", "-i", clip, "-c", "copy", "-f", "flv", ems_server.rtmp("mine"))
    ems_server.wait_for_stream("mine")
    ems_server.api("pushStream", uri=sink.url(""), localStreamName="mine", targetStreamName="rec", **settings)
    wait_until(lambda: "/rec video 75" in sink.output and "/rec audio 100" in sink.output, "three seconds to be decoded", 20)
    (push,) = ems_server.api("listConfig")["push"]
    assert push["status"]["current"]["description"] == "Streaming"


def test_a_second_server_of_ours(children: Children, tmp_path: Path) -> None:
    """One server of ours pushes to another by RTSP over UDP, and every frame arrives there."""
    clip = clips.clip(KIND)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    near = EmsServer(children, first)
    far = EmsServer(children, second, doors=("inboundRtmp", "inboundAsciiCli", "inboundHttpJsonCli", "inboundRtsp"))
    children.start("ffmpeg", "-nostdin", "-v", "error", "-re", "-i", clip, "-c", "copy", "-f", "flv", near.rtmp("source"))
    near.wait_for_stream("source")
    uri = f"rtsp://127.0.0.1:{far.ports['inboundRtsp']}/"
    near.api("pushStream", uri=uri, localStreamName="source", targetStreamName="mine")
    far.wait_for_stream("mine")
    recording = record(far, tmp_path / "out.mkv")
    received, sent = read_packets(recording), read_packets(clip)
    for kind in ("video", "audio"):
        run_in(received[kind], sent[kind])
    assert abs(sync_error(received, sent)) < MAX_SYNC_ERROR
    near.stop()
    far.stop()
