"""Encoders of every kind log in, and nobody else publishes."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ems.security.users import users_line
from tests import clips
from tests.interop.clients import play_with_ffmpeg, play_with_rtmpdump
from tests.interop.packets import read_packets
from tests.processes import Child, Children, wait_until
from tests.server import EmsServer

PASSWORD = "hunter3"

Login = tuple[str, str]

Encoder = Callable[[Children, EmsServer, str, Login | None], Child]


def ffmpeg(children: Children, server: EmsServer, stream: str, login: Login | None) -> Child:
    """``rtmp://user:password@host/…``."""
    url = server.rtmp(stream)
    if login:
        url = url.replace("://", f"://{login[0]}:{login[1]}@")
    clip = clips.clip("h264_aac")
    return children.start("ffmpeg", "-nostdin", "-v", "error", "-re", "-i", clip, "-c", "copy", "-f", "flv", url)


def rtmp2sink(children: Children, server: EmsServer, stream: str, login: Login | None) -> Child:
    """GStreamer's own RTMP: the scheme and the login are properties."""
    words = ["authmod=adobe", f"username={login[0]}", f"password={login[1]}"] if login else []
    return _gstreamer(children, "rtmp2sink", server.rtmp(stream), *words)


def _gstreamer(children: Children, sink: str, location: str, *properties: str) -> Child:
    pipeline = (
        f"filesrc location={clips.clip('h264_aac')} ! qtdemux name=file  flvmux name=mux streamable=true "
        "file.video_0 ! queue ! h264parse ! video/x-h264,stream-format=avc ! mux.video "
        "file.audio_0 ! queue ! aacparse ! mux.audio mux. !"
    )
    return children.start("gst-launch-1.0", "-q", *pipeline.split(), sink, f"location={location}", *properties)


# GStreamer's other one, rtmpsink, is left out: Debian's librtmp sends what lies in memory behind its response, and crashes.
ENCODERS: dict[str, Encoder] = {"ffmpeg": ffmpeg, "rtmp2sink": rtmp2sink}


@pytest.fixture
def guarded(children: Children, tmp_path: Path) -> Iterator[EmsServer]:
    """A server with two users, one of them with a hashed password, at which publishers have to log in."""
    folder = tmp_path / "server"
    (folder / "config").mkdir(parents=True)
    (folder / "config/users.lua").write_text(f'users = {{ alice = "{PASSWORD}", {users_line("bob", PASSWORD)} }}')
    settings = (
        'authentication = { rtmp = { type = "adobe", usersFile = "config/users.lua" } },authPersistenceFile = "config/auth.xml",'
    )
    server = EmsServer(children, folder, settings)
    server.api("setAuthentication", enabled="1")
    yield server
    server.stop()
    for secret in (PASSWORD, "wrong-one"):
        assert secret not in server.output


@pytest.mark.parametrize("user", ["alice", "bob"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_who_knows_the_password_publishes(guarded: EmsServer, children: Children, encoder: str, user: str) -> None:
    """An encoder with the right name and password publishes, whether the server has the password in clear or hashed."""
    source = ENCODERS[encoder](children, guarded, "mine", (user, PASSWORD))
    guarded.wait_for_stream("mine")
    assert source.running
    (stream,) = [stream for stream in guarded.api("listStreams") if stream["name"] == "mine"]
    assert "response" not in stream["tcUrl"]
    source.stop()


@pytest.mark.parametrize("login", [None, ("alice", "wrong-one"), ("mallory", PASSWORD)], ids=["none", "wrong", "unknown"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_who_does_not_is_refused(guarded: EmsServer, children: Children, encoder: str, login: Login | None) -> None:
    """Without a login, with a wrong password and with an unknown name no encoder publishes; it gives up with an error."""
    source = ENCODERS[encoder](children, guarded, "mine", login)
    wait_until(lambda: not source.running or "ERROR" in source.output, f"{encoder} to give up")
    assert guarded.stream_names() == set()
    assert re.search("it has to log in" if login is None else "login of '.*' failed", guarded.output)


def test_the_switch_works_while_the_server_runs(guarded: EmsServer, children: Children, tmp_path: Path) -> None:
    """R-015: switched off, the same encoder publishes without a login; switched on again, the next one does not."""
    guarded.api("setAuthentication", enabled="0")
    source = ffmpeg(children, guarded, "mine", None)
    guarded.wait_for_stream("mine")
    assert ">false</BOOL>" in (tmp_path / "server/config/auth.xml").read_text()
    guarded.api("setAuthentication", enabled="1")
    late = ffmpeg(children, guarded, "other", None)
    assert late.wait(10) != 0
    assert guarded.stream_names() == {"mine"}
    source.stop()


def test_players_need_no_login(guarded: EmsServer, children: Children, tmp_path: Path) -> None:
    """While publishers have to log in, players play as ever."""
    source = ffmpeg(children, guarded, "mine", ("alice", PASSWORD))
    guarded.wait_for_stream("mine")
    for play in (play_with_ffmpeg, play_with_rtmpdump):
        playback = play(children, guarded.rtmp("mine"), tmp_path, 2)()
        assert playback.recording is not None
        assert read_packets(playback.recording)["video"]
    source.stop()


@pytest.mark.parametrize(("login", "comes"), [(f"alice:{PASSWORD}@", True), ("alice:wrong-one@", False), ("", False)])
def test_a_push_of_another_server_logs_in(
    guarded: EmsServer, children: Children, tmp_path: Path, login: str, comes: bool
) -> None:
    """EMS pushes to EMS with the user name and password of the address, and not without."""
    folder = tmp_path / "source"
    folder.mkdir()
    source = EmsServer(children, folder)
    camera = ffmpeg(children, source, "cam", None)
    source.wait_for_stream("cam")
    target = guarded.rtmp("x").replace("://", f"://{login}").removesuffix("/x")
    source.api("pushStream", uri=target, localStreamName="cam", targetStreamName="mine", keepAlive="0")
    if comes:
        guarded.wait_for_stream("mine")
    else:
        wait_until(lambda: "has to log in" in guarded.output or "failed: wrong password" in guarded.output, "the refusal")
        assert guarded.stream_names() == set()
    assert "wrong-one" not in source.output
    assert PASSWORD not in source.output
    camera.stop()
    source.stop()
