"""MPEG-TS with the programs of others: what they send, and what they make of what we send."""

import os
import shutil
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests import clips
from tests.interop.broadcast import MAX_SYNC_ERROR, subfolder
from tests.interop.clients import play_with_ffmpeg, play_with_vlc, publish_with_ffmpeg
from tests.interop.packets import decoder_complaints, read_packets, run_in, sync_error
from tests.interop.transport import (
    LossyRelay,
    UdpRecorder,
    assert_same_pictures,
    send_with_ffmpeg,
    send_with_gstreamer,
)
from tests.processes import Children, free_port, wait_until
from tests.server import DOORS, EmsServer
from tests.ts_analyser import analyse

SECONDS = 4
"""How long receivers play."""

MARKER = "EMS_INSIDE_A_NETWORK"
"""Set in a network of its own, where there is multicast."""


@pytest.fixture
def server(children: Children, tmp_path: Path) -> EmsServer:
    """A server with the ports for transport streams: a name for each, "tcp" and "udp"."""
    doors = (*DOORS, "inboundTcpTs", "inboundUdpTs")
    return EmsServer(children, subfolder(tmp_path, "server"), doors=doors)


def assert_plays_over_rtmp(children: Children, server: EmsServer, name: str, sent: Path, folder: Path) -> None:
    """AssertionError when an RTMP player does not get, from a key frame on, the very frames that were sent, and in step."""
    playback = play_with_ffmpeg(children, server.rtmp(name), subfolder(folder, f"play-{name}"), SECONDS)()
    assert not playback.complaints
    assert playback.recording is not None
    received, original = read_packets(playback.recording), read_packets(sent)
    assert len(received["video"]) > (SECONDS - 2) * clips.FRAME_RATE
    for kind in ("video", "audio"):
        if original[kind]:
            run_in(received[kind], original[kind])
    assert not original["audio"] or abs(sync_error(received, original)) < MAX_SYNC_ERROR
    assert not decoder_complaints(playback.recording)


def address(server: EmsServer, door: str) -> str:
    """The URL of a port for transport streams, as ffmpeg has it."""
    port = server.ports[door]
    return f"tcp://127.0.0.1:{port}" if door == "inboundTcpTs" else f"udp://127.0.0.1:{port}?pkt_size=1316"


def only_stream(server: EmsServer) -> str:
    """The name of the only stream, when there is one."""
    wait_until(server.stream_names, "a stream")
    [name] = server.stream_names()
    return name


@pytest.mark.parametrize("door", ["inboundTcpTs", "inboundUdpTs"])
@pytest.mark.parametrize("sender", ["ffmpeg", "gstreamer"])
def test_acceptors_take_what_is_sent(children: Children, server: EmsServer, tmp_path: Path, door: str, sender: str) -> None:
    """A transport stream with B-frames that ffmpeg or GStreamer sends to a port plays over RTMP, whole and in step."""
    clip = clips.clip("h264_bframes_aac")
    if sender == "ffmpeg":
        send_with_ffmpeg(children, clip, address(server, door))
    elif door == "inboundTcpTs":
        send_with_gstreamer(children, clip, f"tcpclientsink host=127.0.0.1 port={server.ports[door]} sync=true")
    else:
        send_with_gstreamer(children, clip, f"udpsink host=127.0.0.1 port={server.ports[door]} sync=true")
    name = only_stream(server)
    assert_plays_over_rtmp(children, server, name, clip, tmp_path)
    info = server.api("getStreamInfo", localStreamName=name)
    assert info["type"] == "INTS"
    assert info["transportStream"]["continuityErrors"] == 0
    server.stop()


def test_packets_of_192_bytes(children: Children, server: EmsServer, tmp_path: Path) -> None:
    """Camcorders' packets with time codes play like any others."""
    clip = clips.clip("h264_only")
    send_with_ffmpeg(children, clip, address(server, "inboundTcpTs"), "-mpegts_m2ts_mode", "1")
    assert_plays_over_rtmp(children, server, only_stream(server), clip, tmp_path)
    server.stop()


def test_hevc_comes_in(children: Children, server: EmsServer) -> None:
    """HEVC in a transport stream is a stream like any other."""
    send_with_ffmpeg(children, clips.clip("hevc_aac"), address(server, "inboundTcpTs"))
    info = server.api("getStreamInfo", localStreamName=only_stream(server))
    assert (info["video"]["codec"], info["audio"]["codec"], info["video"]["width"]) == ("VH265", "AAAC", 640)
    server.stop()


def test_pulls_listen_and_connect(children: Children, server: EmsServer, tmp_path: Path) -> None:
    """Pulls over UDP, over TCP from a server, and over TCP from who connects to us, all bring the stream of ffmpeg in."""
    clip, folder = clips.clip("h264_bframes_aac"), tmp_path
    udp, out, waits = free_port(), free_port(), free_port()
    send_with_ffmpeg(children, clip, f"tcp://127.0.0.1:{out}?listen=1")
    server.api("pullStream", uri=f"dmpegtsudp://127.0.0.1:{udp}", localStreamName="udp")
    server.api("pullStream", uri=f"dmpegtstcp://127.0.0.1:{out}", localStreamName="out")
    server.api("pullStream", uri=f"dmpegtstcp://127.0.0.1:{waits}?listen", localStreamName="waits")
    send_with_ffmpeg(children, clip, f"udp://127.0.0.1:{udp}?pkt_size=1316")
    send_with_ffmpeg(children, clip, f"tcp://127.0.0.1:{waits}")
    for name in ("udp", "out", "waits"):
        server.wait_for_stream(name)
        assert_plays_over_rtmp(children, server, name, clip, folder)
    server.stop()


def test_rtmp_in_is_a_good_transport_stream_out(children: Children, server: EmsServer, tmp_path: Path) -> None:
    """What is published over RTMP and pushed over UDP has no fault: counters, tables, clocks and every frame are right."""
    clip = clips.clip("h264_bframes_aac")
    publisher = publish_with_ffmpeg(children, clip, server.rtmp("mine"))
    server.wait_for_stream("mine")
    with UdpRecorder() as recorder:
        server.api("pushStream", uri=f"mpegtsudp://127.0.0.1:{recorder.port}", localStreamName="mine")
        wait_until(lambda: len(recorder.datagrams) > 60 * SECONDS, "datagrams", 20)
        publisher.stop()
        wait_until(lambda: not server.stream_names(), "the end of the stream")
    assert max(map(len, recorder.datagrams)) == 1316
    found = analyse(recorder.data)
    assert found.errors == []
    assert max(b - a for a, b in pairwise(found.pcr)) <= 27_000_000 // 10
    recording = tmp_path / "udp.ts"
    recording.write_bytes(recorder.data)
    assert_same_pictures(recording, clip, at_least=50)
    server.stop()


def test_ffmpeg_receives(children: Children, server: EmsServer, tmp_path: Path) -> None:
    """ffmpeg records the pushed stream over UDP and over TCP without complaint, and finds the frames that were sent."""
    clip = clips.clip("h264_aac")
    udp, tcp = free_port(), free_port()
    urls = {"udp": f"udp://127.0.0.1:{udp}", "tcp": f"tcp://127.0.0.1:{tcp}?listen=1"}
    receivers = {}
    for name, url in urls.items():
        words = ("ffmpeg", "-nostdin", "-v", "error", "-i", url, "-t", str(SECONDS), "-c", "copy", tmp_path / f"{name}.ts")
        receivers[name] = children.start(*words)
    publish_with_ffmpeg(children, clip, server.rtmp("mine"))
    server.wait_for_stream("mine")
    server.api("pushStream", uri=f"mpegtsudp://127.0.0.1:{udp}", localStreamName="mine")
    server.api("pushStream", uri=f"mpegtstcp://127.0.0.1:{tcp}", localStreamName="mine")
    for name, receiver in receivers.items():
        assert receiver.wait(SECONDS + 20) == 0
        assert receiver.output == ""
        assert_same_pictures(tmp_path / f"{name}.ts", clip, at_least=SECONDS * 25 - 30)
    server.stop()


def test_gstreamer_receives(children: Children, server: EmsServer) -> None:
    """tsdemux and the decoders behind it take picture and sound, and do not complain."""
    publish_with_ffmpeg(children, clips.clip("h264_bframes_aac"), server.rtmp("mine"), endless=True)
    server.wait_for_stream("mine")
    for branch in ("h264parse ! avdec_h264", "aacparse ! avdec_aac"):
        # One at a time: beside a branch that has ended, GStreamer does not always end the other.
        port = free_port()
        source = f"udpsrc port={port} address=127.0.0.1 caps=video/mpegts,systemstream=true ! tsdemux"
        receiver = children.start("gst-launch-1.0", *f"{source} ! queue ! {branch} ! fakesink sync=false num-buffers=75".split())
        server.api("pushStream", uri=f"mpegtsudp://127.0.0.1:{port}", localStreamName="mine")
        assert receiver.wait(30) == 0
        assert "ERROR" not in receiver.output
        assert "WARN" not in receiver.output
    server.stop()


def test_vlc_shows_the_picture(children: Children, server: EmsServer, tmp_path: Path) -> None:
    """VLC decodes what is pushed to it and has nothing to say against it."""
    publish_with_ffmpeg(children, clips.clip("h264_bframes_aac"), server.rtmp("mine"))
    server.wait_for_stream("mine")
    port = free_port()
    folder = subfolder(tmp_path, "player")
    # Its start, the wait for a key frame (2 s) and its own buffer take part of the time.
    finish = play_with_vlc(children, f"udp://@127.0.0.1:{port}", folder, SECONDS + 8)
    server.api("pushStream", uri=f"mpegtsudp://127.0.0.1:{port}", localStreamName="mine")
    playback = finish()
    assert not playback.complaints
    assert playback.pictures >= SECONDS - 1
    server.stop()


def test_an_untouched_relay_changes_nothing(children: Children, server: EmsServer) -> None:
    """What comes in untouched and is pushed leaves as it came, packet by packet."""
    clip, port = clips.clip("h264_mp3"), free_port()
    server.api("pullStream", uri=f"mpegtsudp://127.0.0.1:{port}", localStreamName="relay")
    with UdpRecorder() as direct, UdpRecorder() as relayed:
        server.api("pushStream", uri=f"mpegtsudp://127.0.0.1:{relayed.port}", localStreamName="relay_ts")
        tee = f"[f=mpegts]udp://127.0.0.1:{direct.port}?pkt_size=1316|[f=mpegts]udp://127.0.0.1:{port}?pkt_size=1316"
        words = ("-re", "-i", clip, "-map", "0", "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "tee", tee)
        children.start("ffmpeg", "-nostdin", "-v", "error", *words)
        wait_until(lambda: len(relayed.datagrams) > 200, "the relayed packets", 20)
    assert server.api("getStreamInfo", localStreamName="relay_ts")["transportStream"]["continuityErrors"] == 0
    where = direct.data.find(relayed.data[: 188 * 20])
    assert where >= 0
    assert direct.data[where:].startswith(relayed.data[: len(direct.data) - where])
    server.stop()


def test_a_lossy_line_is_counted_and_survived(children: Children, server: EmsServer, tmp_path: Path) -> None:
    """One datagram in fifty lost costs some pictures; the rest is in step, and the loss is in getStreamInfo."""
    with LossyRelay(server.ports["inboundUdpTs"], every=50) as relay:
        send_with_ffmpeg(children, clips.clip("h264_aac"), f"udp://127.0.0.1:{relay.port}?pkt_size=1316")
        name = only_stream(server)
        playback = play_with_ffmpeg(children, server.rtmp(name), tmp_path, SECONDS)()
        info = server.api("getStreamInfo", localStreamName=name)
    assert playback.recording is not None
    received, sent = read_packets(playback.recording), read_packets(clips.clip("h264_aac"))
    assert 0.5 < len(received["video"]) / (SECONDS * clips.FRAME_RATE) < 1
    original = {packet.md5 for packet in sent["video"]}
    assert all(packet.md5 in original for packet in received["video"]), "a damaged picture came through"
    assert info["transportStream"]["continuityErrors"] > relay.lost // 2
    server.stop()


def network_of_its_own(test: str) -> None:
    """Run a test of this file in a network with multicast and broadcast, when we may make one."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("making a network takes root")
    made = "ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.9.9.1/24 brd 10.9.9.255 dev v0"
    routed = "ip link set v0 up && ip link set v1 up && ip route add 224.0.0.0/4 dev v0"
    inside = f"{made} && {routed} && exec {sys.executable} -m pytest -x -q -p no:cacheprovider {__file__}::{test}"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", inside],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, MARKER: "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


inside = pytest.mark.skipif(MARKER not in os.environ, reason="runs in a network of its own, which another test makes")


@inside
def test_multicast_inside(children: Children, server: EmsServer, tmp_path: Path) -> None:
    """See `test_multicast_and_broadcast`."""
    clip, group, port = clips.clip("h264_bframes_aac"), "229.0.0.1", 5555
    server.api("pullStream", uri=f"dmpegtsudp://{group}:{port}", localStreamName="any")
    server.api("pullStream", uri=f"mpegtsudp://{group}:{port}", localStreamName="copy", ssmIp="10.9.9.1")
    server.api("pullStream", uri="dmpegtsudp://232.1.1.1:6666", localStreamName="wrong", ssmIp="10.9.9.77")
    server.api("pullStream", uri="dmpegtsudp://0.0.0.0:7777", localStreamName="broadcast")
    memberships = Path("/proc/net/igmp").read_text()
    assert socket.inet_aton(group)[::-1].hex().upper() in memberships, "the group is joined"
    send_with_ffmpeg(children, clip, f"udp://{group}:{port}?pkt_size=1316&localaddr=10.9.9.1")
    send_with_ffmpeg(children, clip, "udp://232.1.1.1:6666?pkt_size=1316&localaddr=10.9.9.1")
    server.wait_for_stream("any")
    server.wait_for_stream("copy_ts")
    assert_plays_over_rtmp(children, server, "any", clip, tmp_path)
    receiver = children.start(
        *("ffmpeg", "-nostdin", "-v", "error", "-i", "udp://229.0.0.2:5556?localaddr=10.9.9.1", "-t", str(SECONDS)),
        *("-c", "copy", tmp_path / "group.ts"),
    )
    server.api("pushStream", uri="mpegtsudp://229.0.0.2:5556", localStreamName="any", ttl="2")
    server.api("pushStream", uri="mpegtsudp://10.9.9.255:7777", localStreamName="any")
    assert receiver.wait(SECONDS + 20) == 0
    assert_same_pictures(tmp_path / "group.ts", clip, at_least=SECONDS * 25 - 60)
    server.wait_for_stream("broadcast")
    assert "wrong" not in server.stream_names()
    server.stop()


def test_multicast_and_broadcast() -> None:
    """Groups are joined, from any sender and from one; two pulls of a group get a copy each; pushes go to groups and to all."""
    network_of_its_own("test_multicast_inside")
