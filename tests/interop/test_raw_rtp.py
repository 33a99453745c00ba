"""Raw RTP from ffmpeg, straight and over bad networks, and by a description in a file."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests import clips
from tests.interop.lossy_relay import LossyRelay
from tests.interop.packets import decoder_complaints, read_packets, run_in
from tests.processes import Child, Children, free_port, wait_until
from tests.server import EmsServer

SECONDS = 5

ENOUGH = 60_000
"""Bytes of a recording: three groups of pictures, or the rests of a dozen."""


def sets_of(clip: Path) -> dict[str, str]:
    """``spsBytes`` and ``ppsBytes`` of a clip, as ffmpeg writes them in a description."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(clip), "-an", "-c", "copy", "-t", "0.1", "-f", "rtp"]
    told = subprocess.run(
        [*command, "rtp://127.0.0.1:9?rtcpport=9"], capture_output=True, text=True, timeout=20, check=False
    ).stdout
    sps, pps = told.partition("sprop-parameter-sets=")[2].split(";")[0].split(",")
    return {"spsBytes": sps.replace("=", "\\="), "ppsBytes": pps.replace("=", "\\=")}


def send(children: Children, clip: Path, stream: str, port: int, *options: str) -> Child:
    """Send a clip's pictures (``v``) or sound (``a``) as RTP, in real time."""
    url = f"rtp://127.0.0.1:{port}?pkt_size=1300"
    words = ["-nostdin", "-v", "error", "-re", "-i", str(clip), "-map", f"0:{stream}", "-c", "copy", *options]
    return children.start("ffmpeg", *words, "-f", "rtp", url)


def record(server: EmsServer, path: Path) -> Path:
    """What a player of the stream ``mine`` receives in some seconds."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", server.rtmp("mine"), "-t", str(SECONDS), "-c", "copy", str(path)]
    subprocess.run(command, check=True, timeout=40)
    return path


def test_video(children: Children, ems_server: EmsServer, tmp_path: Path) -> None:
    """R-136, R-139: pictures without any description arrive unchanged."""
    clip, port = clips.clip("h264_bframes_aac"), free_port()
    ems_server.api("pullStream", uri=f"rtp://127.0.0.1:{port}", localStreamName="mine", isAudio="0", **sets_of(clip))
    send(children, clip, "v", port)
    ems_server.wait_for_stream("mine")
    received = read_packets(record(ems_server, tmp_path / "out.mkv"))
    run_in(received["video"], read_packets(clip)["video"])


def test_audio(children: Children, ems_server: EmsServer, tmp_path: Path) -> None:
    """R-138: audioCodecBytes=1190 is AAC-LC of 48 kHz, stereo."""
    clip, port = clips.clip("h264_bframes_aac"), free_port()
    ems_server.api("pullStream", uri=f"rtp://127.0.0.1:{port}", localStreamName="mine", audioCodecBytes="1190")
    send(children, clip, "a", port)
    ems_server.wait_for_stream("mine")
    recording = record(ems_server, tmp_path / "out.mkv")
    run_in(read_packets(recording)["audio"], read_packets(clip)["audio"])
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(recording)]
    (stream,) = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)["streams"]
    assert (stream["codec_name"], stream["profile"], stream["sample_rate"], stream["channels"]) == ("aac", "LC", "48000", 2)


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.05])
def test_bad_networks(children: Children, ems_server: EmsServer, tmp_path: Path, loss: float) -> None:
    """Whatever is lost, doubled or turned around on the way: what goes out over RTMP decodes without an error."""
    clip, port = clips.clip("h264_aac"), free_port()
    ems_server.api("pullStream", uri=f"rtp://127.0.0.1:{port}", localStreamName="mine", isAudio="0", **sets_of(clip))
    with LossyRelay(port, loss=loss, duplicates=0.02, jitter=0.04) as relay:
        send(children, clip, "v", relay.port)
        ems_server.wait_for_stream("mine")
        recording = tmp_path / "out.mkv"
        words = ["-nostdin", "-v", "error", "-analyzeduration", "1000000", "-i", ems_server.rtmp("mine")]
        player = children.start("ffmpeg", *words, "-c", "copy", "-flush_packets", "1", str(recording))
        wait_until(lambda: recording.exists() and recording.stat().st_size > ENOUGH, "enough to be received", 25)
        player.stop(signal.SIGINT)
    assert read_packets(recording)["video"]
    assert not decoder_complaints(recording)
    if not loss:
        run_in(read_packets(recording)["video"], read_packets(clip)["video"])


def test_a_description_in_a_file(children: Children, ems_server: EmsServer, tmp_path: Path) -> None:
    """A .sdp file in the runtime directory is a source: picture and sound by their ports."""
    clip = clips.clip("h264_aac")
    port = free_port() & ~1
    description = ems_server.folder / "source.sdp"
    url = f"rtp://127.0.0.1:{port}"
    words = ["-nostdin", "-v", "error", "-re", "-i", str(clip), "-an", "-c", "copy", "-f", "rtp", "-sdp_file", str(description)]
    children.start("ffmpeg", *words, url)
    wait_until(description.exists, "the description")
    ems_server.api("pullStream", uri=f"file://{description}", localStreamName="mine", rtcpDetectionInterval="0")
    ems_server.wait_for_stream("mine")
    run_in(read_packets(record(ems_server, tmp_path / "out.mkv"))["video"], read_packets(clip)["video"])
