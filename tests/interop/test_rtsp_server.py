"""RTSP as people meet it: the usual programs play and publish, over every transport, and the frames arrive as they were sent."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import clips
from tests.interop.broadcast import MAX_SYNC_ERROR, subfolder
from tests.interop.clients import interrupted_after
from tests.interop.packets import decoder_complaints, read_packets, run_in, sync_error
from tests.processes import Child, Children, wait_until
from tests.server import DOORS, EmsServer

KIND = "h264_aac"
REORDERED = "h264_bframes_aac"
"""RTP does not tell times of decoding, and players that only copy guess them: of this clip the frames are compared, not times."""

SECONDS = 6
START_TIME = 20

HARMLESS = (
    "Timestamps are unset",
    "pts has no value",
    "Non-monotonous DTS",
    "Guessed Channel Layout",
)
"""What ffmpeg says of streams whose first pictures have no decoding time, which RTP does not tell."""

NEWS = "Setting pipeline to PAUSED"
"""What GStreamer tells at first, of all that it tells without being asked."""

UNLINKED = "Delayed linking failed"

ATTEMPTS = 4
"""One in ten fails on a busy machine."""

Start = Callable[[Children, EmsServer, Path], tuple[Child, Path]]


def rtsp(server: EmsServer, path: str, scheme: str = "rtsp") -> str:
    """The address of a stream."""
    return f"{scheme}://127.0.0.1:{server.ports['inboundRtsp']}/{path}"


def ffmpeg(transport: str, path: str = "mine") -> Start:
    """ffmpeg, which takes out the parameter sets that go in front of each key frame on the way."""

    def start(children: Children, server: EmsServer, folder: Path) -> tuple[Child, Path]:
        recording = folder / "played.mp4"
        words = f"ffmpeg -nostdin -v warning -rtsp_transport {transport} -i {rtsp(server, path)} -t {SECONDS} -c copy".split()
        bare = ("-bsf:v", "filter_units=remove_types=7-9")
        return children.start(*words, *bare, recording), recording

    return start


def gstreamer(scheme: str) -> Start:
    """GStreamer's rtspsrc; each scheme is a transport."""

    def start(children: Children, server: EmsServer, folder: Path) -> tuple[Child, Path]:
        recording = folder / "played.mkv"
        pipeline = (
            f"rtspsrc location={rtsp(server, 'mine', scheme)} name=source latency=200 buffer-mode=none "
            "source. ! application/x-rtp,media=video ! rtph264depay ! h264parse ! video/x-h264,stream-format=avc ! queue ! mux. "
            "source. ! application/x-rtp,media=audio ! rtpmp4gdepay ! aacparse ! queue ! mux. "
            f"matroskamux name=mux ! filesink location={recording}"
        )
        # It ends in order, and finishes its file, on SIGINT.
        command = (*interrupted_after(SECONDS + 2), "gst-launch-1.0", "-e", *pipeline.split())
        for _ in range(ATTEMPTS):
            child = children.start(*command)
            if _begins(child, recording):
                return child, recording
            child.stop()
        raise AssertionError(f"GStreamer has not linked its own pads {ATTEMPTS} times:\n{child.output}")

    return start


def _begins(child: Child, recording: Path) -> bool:
    """Whether a pipeline of two media has come together: GStreamer, when both begin at once, may call one of them the last
    before it has told of the other, which nothing is linked to then."""
    wait_until(lambda: not child.running or size_of(recording) or UNLINKED in child.output, "GStreamer to begin")
    return UNLINKED not in child.output


def size_of(file: Path) -> int:
    """Bytes, 0 without a file."""
    return file.stat().st_size if file.exists() else 0


def complaints(output: str) -> str:
    """What of the words of a player is neither news nor harmless."""
    lines = [line for line in output.splitlines() if not any(harmless in line for harmless in HARMLESS)]
    if NEWS in output:
        # What it says with -q, which would hide UNLINKED as well.
        lines = [line for line in lines if line.startswith("ERROR")]
    return "\n".join(lines)


PLAYERS: dict[str, Start] = {
    "ffmpeg-tcp": ffmpeg("tcp"),
    "ffmpeg-udp": ffmpeg("udp"),
    "ffmpeg-http": ffmpeg("http"),
    "ffmpeg-ts-tcp": ffmpeg("tcp", "ts/mine"),
    "ffmpeg-ts-udp": ffmpeg("udp", "TS/mine"),
    "gstreamer-tcp": gstreamer("rtspt"),
    "gstreamer-udp": gstreamer("rtspu"),
    "gstreamer-http": gstreamer("rtsph"),
}


class Playing:
    """All players at once, of one stream that ffmpeg publishes over RTMP."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        children = Children(folder)
        self.recordings: dict[str, Path] = {}
        self.complaints: dict[str, str] = {}
        try:
            server = EmsServer(children, subfolder(folder, "server"), doors=(*DOORS, "inboundRtsp"))
            source = f"ffmpeg -nostdin -v error -re -i {clips.clip(kind)} -c copy -f flv {server.rtmp('mine')}"
            publisher = children.start(*source.split())
            server.wait_for_stream("mine")
            started = {name: start(children, server, subfolder(folder, name)) for name, start in PLAYERS.items()}
            for name, (child, recording) in started.items():
                child.wait(SECONDS + START_TIME)
                self.recordings[name] = recording
                self.complaints[name] = complaints(child.output)
            publisher.stop()
            server.stop()
        finally:
            children.stop_all()


@pytest.fixture(scope="module", params=[KIND, REORDERED])
def playing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Playing:
    """What all players left."""
    return Playing(tmp_path_factory.mktemp("rtsp"), request.param)


@pytest.mark.parametrize("player", PLAYERS)
def test_player_receives_what_was_sent(playing: Playing, player: str) -> None:
    """A player gets an unbroken run of the very frames that were published, in step, and they decode without complaint."""
    received, sent = frames_of(playing.recordings[player]), frames_of(clips.clip(playing.kind))
    assert len(received["video"]) / clips.FRAME_RATE > SECONDS - 2
    for kind in ("video", "audio"):
        run_in(received[kind], sent[kind])
    assert not playing.complaints[player]
    if playing.kind == KIND:
        assert not decoder_complaints(playing.recordings[player])
        assert abs(sync_error(received, sent)) < MAX_SYNC_ERROR


@pytest.fixture
def server(children: Children, tmp_path: Path) -> Iterator[EmsServer]:
    """A running server with an RTSP port."""
    made = EmsServer(children, subfolder(tmp_path, "server"), doors=(*DOORS, "inboundRtsp"))
    yield made
    made.stop()


def publish_with_ffmpeg(transport: str) -> Callable[[Path, str], list[str]]:
    """ffmpeg's RTSP muxer."""

    def command(clip: Path, url: str) -> list[str]:
        return f"ffmpeg -nostdin -v error -re -i {clip} -c copy -f rtsp -rtsp_transport {transport} {url}".split()

    return command


def publish_with_gstreamer(protocol: str) -> Callable[[Path, str], list[str]]:
    """rtspclientsink, with pictures alone: what it sends of AAC has no configuration in its SDP."""

    def command(clip: Path, url: str) -> list[str]:
        pipeline = (
            f"filesrc location={clip} ! qtdemux name=file file.video_0 ! queue ! h264parse ! identity sync=true ! "
            f"rtspclientsink protocols={protocol} location={url}"
        )
        return ["gst-launch-1.0", "-q", *pipeline.split()]

    return command


PUBLISHERS = {
    "ffmpeg-tcp": (publish_with_ffmpeg("tcp"), ("video", "audio")),
    "ffmpeg-udp": (publish_with_ffmpeg("udp"), ("video", "audio")),
    "rtspclientsink-tcp": (publish_with_gstreamer("tcp"), ("video",)),
    "rtspclientsink-udp": (publish_with_gstreamer("udp"), ("video",)),
}


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_publish(children: Children, tmp_path: Path, server: EmsServer, publisher: str) -> None:
    """What is published over RTSP can be played over RTMP: the very frames, in step."""
    make, kinds = PUBLISHERS[publisher]
    clip = clips.clip("h264_aac")
    source = children.start(*make(clip, rtsp(server, "live/in2")))
    server.wait_for_stream("in2")
    recording = tmp_path / "played.flv"
    play = f"ffmpeg -nostdin -v error -i {server.rtmp('in2')} -t {SECONDS} -c copy {recording}"
    children.start(*play.split()).wait(SECONDS + START_TIME)
    assert source.running, source.output
    received, sent = frames_of(recording), frames_of(clip)
    for kind in kinds:
        run_in(received[kind], sent[kind])
    assert len(received["video"]) / clips.FRAME_RATE > SECONDS - 2
    if "audio" in kinds:
        assert abs(sync_error(received, sent)) < MAX_SYNC_ERROR
    assert not decoder_complaints(recording)


def test_mpv(children: Children, server: EmsServer) -> None:
    """mpv shows pictures and plays sound."""
    source = f"ffmpeg -nostdin -v error -re -i {clips.clip(KIND)} -c copy -f rtsp {rtsp(server, 'mine')}"
    children.start(*source.split())
    server.wait_for_stream("mine")
    environment = {**os.environ, "HOME": str(server.folder)}
    command = ["mpv", "--no-config", "--vo=null", "--ao=null", "--length=4", "--msg-level=all=info", rtsp(server, "mine")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VO: [null]" in done.stdout
    assert "AO: [null]" in done.stdout


def test_ffmpeg_logs_in(children: Children, tmp_path: Path) -> None:
    """ffmpeg publishes with the name and password in its address, by Digest; without, and with a wrong one, it is refused."""
    folder = subfolder(tmp_path, "server")
    (folder / "users.lua").write_text(
        'users = { ann = "secret" }\nrealms = { { name = "cams", method = "Digest", users = { "ann" } } }\n'
    )
    settings = 'authentication = { rtsp = { usersFile = "users.lua", authenticatePlay = true } },'
    server = EmsServer(children, folder, settings, doors=(*DOORS, "inboundRtsp"))
    address = rtsp(server, "mine")
    for user in ("", "ann:wrong@"):
        refused = children.start(*publish_with_ffmpeg("tcp")(clips.clip(KIND), address.replace("//", f"//{user}")))
        wait_until(lambda child=refused: not child.running, "ffmpeg to be refused", START_TIME)  # type: ignore[misc]
        assert "401" in refused.output
    known = address.replace("//", "//ann:secret@")
    children.start(*publish_with_ffmpeg("tcp")(clips.clip(KIND), known))
    server.wait_for_stream("mine")
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", "-rtsp_transport", "tcp", known],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert {*shown.stdout.split()} == {"h264", "aac"}
    server.stop()


def frames_of(path: Path) -> dict[str, list]:  # type: ignore[type-arg]
    """The frames of a file without parameter sets, which each protocol puts elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.mp4"
        options = "-c copy -bsf:v filter_units=remove_types=6-9"
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, *options.split(), bare], check=True, timeout=60)
        return read_packets(bare)
