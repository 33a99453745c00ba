"""Pulls from and pushes to other people's servers: what goes in there comes out here, and the other way round."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests import clips
from tests.interop import libav
from tests.interop.broadcast import subfolder
from tests.interop.clients import play_with_ffmpeg, play_with_rtmpdump
from tests.interop.packets import assert_arrived
from tests.interop.peers import (
    SOURCES,
    MakeSource,
    Nginx,
    StayingPlayer,
    publish,
    receive_with_ffmpeg,
    serve_with_ffmpeg,
)
from tests.processes import Children, free_port, wait_until
from tests.server import EmsServer

SECONDS = 5
"""How long each recording is."""

FLAPS = 6
"""How often a source is killed here; `bench.flap_pull` does it 50 times."""

MAX_RETURN = 3.0
"""Seconds from a source's return until its players see it again."""


@pytest.fixture
def sent() -> Path:
    """What is sent: with B-frames, whose composition times have to arrive, too."""
    return clips.clip("h264_bframes_aac")


def _job(server: EmsServer, kind: str) -> dict[str, Any]:
    """The only job of a kind, with the keys of its status and its present state."""
    (job,) = server.api("listConfig")[kind]
    return {**job, **job["status"], **job["status"]["current"]}


def _wait_for_state(server: EmsServer, kind: str, state: str, timeout: float = 10) -> dict[str, Any]:
    wait_until(lambda: _job(server, kind)["description"] == state, f"the {kind} to be {state}", timeout)
    return _job(server, kind)


def test_pull_from_nginx(ems_server: EmsServer, nginx: Nginx, children: Children, sent: Path, tmp_path: Path) -> None:
    """R-009, R-010: a stream of nginx plays here within 3 s, frame for frame, under the name that I gave it and no other."""
    publish(children, sent, nginx.url("source"))
    began = time.monotonic()
    ems_server.api("pullStream", uri=nginx.url("source"), localStreamName="mine")
    ems_server.wait_for_stream("mine")
    assert time.monotonic() - began < MAX_RETURN
    assert ems_server.stream_names() == {"mine"}
    playback = play_with_rtmpdump(children, ems_server.rtmp("mine"), tmp_path, SECONDS)()
    assert playback.recording is not None
    assert_arrived(playback.recording, sent, SECONDS)


def test_pull_from_ffmpeg(ems_server: EmsServer, children: Children, sent: Path, tmp_path: Path) -> None:
    """A stream of an ffmpeg that listens plays here, frame for frame."""
    port = free_port()
    source = serve_with_ffmpeg(children, sent, port)
    ems_server.api("pullStream", uri=f"rtmp://127.0.0.1:{port}/live/source", localStreamName="mine")
    ems_server.wait_for_stream("mine")
    playback = play_with_ffmpeg(children, ems_server.rtmp("mine"), tmp_path, SECONDS)()
    assert playback.recording is not None
    assert_arrived(playback.recording, sent, SECONDS)
    assert source.running, source.output


def test_push_to_nginx(ems_server: EmsServer, nginx: Nginx, children: Children, sent: Path, tmp_path: Path) -> None:
    """R-024: a stream that is published here plays from nginx under the name that I gave it there."""
    ems_server.api("pushStream", uri=nginx.url("").rstrip("/"), localStreamName="mine", targetStreamName="theirs")
    assert _job(ems_server, "push")["description"] == "Waiting for stream"
    publish(children, sent, ems_server.rtmp("mine"))
    _wait_for_state(ems_server, "push", "Streaming")
    playback = play_with_rtmpdump(children, nginx.url("theirs"), tmp_path, SECONDS)()
    assert playback.recording is not None
    assert_arrived(playback.recording, sent, SECONDS)
    assert _job(ems_server, "push")["attempts"] == 1


def test_push_to_ffmpeg(ems_server: EmsServer, children: Children, sent: Path, tmp_path: Path) -> None:
    """A stream that is published here is recorded by an ffmpeg that listens, frame for frame."""
    publish(children, sent, ems_server.rtmp("mine"))
    ems_server.wait_for_stream("mine")
    port, recording = free_port(), tmp_path / "received.flv"
    target = receive_with_ffmpeg(children, recording, port)
    answer = ems_server.api("pushStream", uri=f"rtmp://127.0.0.1:{port}/live", localStreamName="mine", targetStreamName="target")
    _wait_for_state(ems_server, "push", "Streaming")
    size = sent.stat().st_size * SECONDS // clips.SECONDS
    wait_until(lambda: recording.exists() and recording.stat().st_size > size, f"{SECONDS} s of video", 20)
    ems_server.api("removeConfig", id=str(answer["configId"]))
    assert target.wait(10) == 0, target.output
    assert_arrived(recording, sent, SECONDS)


def test_a_pull_says_who_it_is(ems_server: EmsServer, nginx: Nginx, children: Children, sent: Path) -> None:
    """Application, stream name with its query, tcUrl, pageUrl, swfUrl and flashVer arrive at the source as I gave them."""
    publish(children, sent, nginx.url("source"))
    told = {"tcUrl": "rtmp://example.com/live", "pageUrl": "http://example.com/page", "swfUrl": "http://example.com/a.swf"}
    uri = nginx.url("source") + "?token=7"
    answer = ems_server.api("pullStream", uri=uri, localStreamName="mine", emulateUserAgent="FMLE", **told)
    ems_server.wait_for_stream("mine")
    ems_server.api("removeConfig", id=str(answer["configId"]))
    wait_until(lambda: nginx.sessions("PLAY"), "nginx to log the session")
    (session,) = nginx.sessions("PLAY")
    assert (session.app, session.name, session.args) == ("live", "source", "token=7")
    assert (session.tcurl, session.pageurl, session.swfurl) == tuple(told.values())
    assert session.flashver == "FMLE/3.0 (compatible; FMSc/1.0)"


def test_a_push_says_who_it_is(ems_server: EmsServer, nginx: Nginx, children: Children, sent: Path) -> None:
    """Without being told otherwise, a push gives its target's address as tcUrl and swfUrl, and the server's own name."""
    publish(children, sent, ems_server.rtmp("mine"))
    answer = ems_server.api("pushStream", uri=nginx.url("").rstrip("/"), localStreamName="mine")
    _wait_for_state(ems_server, "push", "Streaming")
    ems_server.api("removeConfig", id=str(answer["configId"]))
    wait_until(lambda: nginx.sessions("PUBLISH"), "nginx to log the session")
    (session,) = nginx.sessions("PUBLISH")
    address = nginx.url("").rstrip("/")
    assert (session.app, session.name, session.tcurl, session.swfurl) == ("live", "mine", address, address)
    assert session.flashver.startswith("EMS/")


def test_a_push_in_small_chunks(ems_server: EmsServer, nginx: Nginx, children: Children, sent: Path, tmp_path: Path) -> None:
    """To a server that must not be asked for larger chunks the same frames go in chunks of 128 bytes."""
    publish(children, sent, ems_server.rtmp("mine"))
    ems_server.api("pushStream", uri=nginx.url("").rstrip("/"), localStreamName="mine", sendChunkSizeRequest="0")
    _wait_for_state(ems_server, "push", "Streaming")
    playback = play_with_rtmpdump(children, nginx.url("mine"), tmp_path, 3)()
    assert playback.recording is not None
    assert_arrived(playback.recording, sent, 3)


def _is_playable(url: str) -> bool:
    command = ["ffprobe", "-v", "quiet", "-rw_timeout", "2000000", "-show_entries", "format=format_name", url]
    return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0


def test_a_name_that_is_taken_there(ems_server: EmsServer, nginx: Nginx, children: Children, sent: Path) -> None:
    """A target that refuses is asked again; why it refuses is in the list of jobs, and once in the log."""
    publisher = publish(children, sent, nginx.url("mine"))
    wait_until(lambda: _is_playable(nginx.url("mine")) or not publisher.running, "the other publisher", 20)
    publish(children, sent, ems_server.rtmp("mine"))
    ems_server.wait_for_stream("mine")
    ems_server.api("pushStream", uri=nginx.url("").rstrip("/"), localStreamName="mine")
    wait_until(lambda: _job(ems_server, "push")["attempts"] >= 4, "some attempts")
    reason = "NetStream.Publish.BadName: Already publishing"
    assert _wait_for_state(ems_server, "push", "Connection failed")["reason"] == reason
    assert ems_server.output.count(reason) == 1


@pytest.mark.parametrize(
    ("encoders", "codecs"),
    [(("libx265", "aac"), {"hevc", "aac"}), (("libx264", "libopus"), {"h264", "opus"})],
    ids=["hevc", "opus"],
)
def test_newer_codecs_pass_from_server_to_server(
    ems_server: EmsServer, children: Children, tmp_path: Path, encoders: tuple[str, str], codecs: set[str]
) -> None:
    """HEVC and Opus come through a pull by, and through a push to, a second server, and decode there."""
    other = EmsServer(children, subfolder(tmp_path, "other"))
    with libav.Publisher(ems_server.rtmp("enhanced"), *encoders):
        ems_server.wait_for_stream("enhanced")
        other.api("pullStream", uri=ems_server.rtmp("enhanced"), localStreamName="pulled")
        target = other.rtmp("").rstrip("/")
        ems_server.api("pushStream", uri=target, localStreamName="enhanced", targetStreamName="pushed")
        for name in ("pulled", "pushed"):
            other.wait_for_stream(name)
            counts = libav.play(other.rtmp(name))
            assert set(counts) == codecs
            assert min(counts.values()) > 10
    other.stop()


def test_a_push_logs_in(ems_server: EmsServer, children: Children, sent: Path, tmp_path: Path) -> None:
    """A push with user and password in its address publishes at a server that asks for them; with a wrong one it does not."""
    guarded = _guarded(children, tmp_path)
    publish(children, sent, ems_server.rtmp("mine"))
    target = guarded.rtmp("").rstrip("/").replace("://", "://alice:p%40ss%3Aword@")
    ems_server.api("pushStream", uri=target, localStreamName="mine")
    guarded.wait_for_stream("mine")
    wrong = target.replace("p%40ss", "other")
    ems_server.api("pushStream", uri=wrong, localStreamName="mine", targetStreamName="second")
    wait_until(lambda: "authfailed" in ems_server.output, "the refusal")
    assert guarded.stream_names() == {"mine"}
    assert "p@ss" not in ems_server.output + guarded.output
    guarded.stop()


def _guarded(children: Children, tmp_path: Path) -> EmsServer:
    folder = subfolder(tmp_path, "guarded")
    subfolder(folder, "config")
    (folder / "config/users.lua").write_text('users = { alice = "p@ss:word" }')
    settings = (
        'authentication = { rtmp = { type = "adobe", usersFile = "config/users.lua" } },authPersistenceFile = "config/auth.xml",'
    )
    server = EmsServer(children, folder, settings)
    server.api("setAuthentication", enabled="1")
    return server


def _assert_counters(server: EmsServer) -> None:
    """There are one pulled stream and one player of it, both of the present and both moving."""
    streams = {stream["type"]: stream for stream in server.api("listStreams")}
    assert set(streams) == {"INR", "ONR"}
    pulled, played = streams["INR"], streams["ONR"]
    assert (pulled["name"], pulled["connectionType"], pulled["pullSettings"]["localStreamName"]) == ("mine", 1, "mine")
    assert pulled["outStreamsUniqueIds"] == [played["uniqueId"]]
    assert 0 < pulled["video"]["packetsCount"] < (MAX_RETURN + 5) * clips.FRAME_RATE
    assert (pulled["video"]["droppedPacketsCount"], played["video"]["droppedPacketsCount"]) == (0, 0)


@pytest.mark.parametrize("make_source", SOURCES.values(), ids=SOURCES)
def test_a_source_that_dies_and_returns(
    ems_server: EmsServer, children: Children, tmp_path: Path, make_source: MakeSource
) -> None:
    """However often a source is killed: its players stay, and have a picture within 3 s of its return; name and job stay, too."""
    source = make_source(children, clips.clip("h264_aac"), subfolder(tmp_path, "source"))
    source.start()
    answer = ems_server.api("pullStream", uri=source.url, localStreamName="mine")
    ems_server.wait_for_stream("mine")
    with StayingPlayer(ems_server.rtmp("mine")) as player:
        player.picture_after(time.monotonic(), timeout=10)
        for flap in range(1, FLAPS + 1):
            source.kill()
            wait_until(lambda: ems_server.stream_names() == set(), "the stream to end")
            source.start()
            returned = time.monotonic()
            player.picture_after(returned, timeout=MAX_RETURN)
            job = _job(ems_server, "pull")
            assert (job["configId"], job["description"], job["successes"]) == (answer["configId"], "Streaming", flap + 1)
            _assert_counters(ems_server)
    assert ems_server.output.count("stream 'mine' ended") == FLAPS
