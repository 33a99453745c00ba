"""HLS as people meet it: ffmpeg publishes over RTMP, the server writes files, players fetch them over HTTP."""

import functools
import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ems.formats.m3u8 import MediaPlaylist, read_media_playlist
from tests.interop.clients import play_with_vlc, publish_with_ffmpeg
from tests.processes import Child, Children, free_port, wait_until
from tests.server import EmsServer

SECONDS = 8
"""How long each player plays."""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word; it knows nothing of HLS."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def plain_http(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """The address at which an ordinary HTTP server has a file of the test's folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield lambda path: f"http://127.0.0.1:{server.server_port}/{path}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def web_server(children: Children, tmp_path: Path) -> Iterator[tuple[EmsServer, int]]:
    """A server with its own web server, and that one's port."""
    folder = tmp_path / "server"
    folder.mkdir()
    port = free_port()
    (folder / "webconfig.lua").write_text(
        f'configuration = {{ applications = {{ {{ name = "ews", port = {port}, bindToIP = "127.0.0.1" }} }} }}\n'
    )
    server = EmsServer(children, folder, "runWebServer = true,")
    yield server, port
    server.stop()


def playlist_of(server: EmsServer) -> MediaPlaylist:
    """The playlist of the stream ``cam``; an empty one before there is one."""
    path = server.folder / "webroot/hls/cam/playlist.m3u8"
    return read_media_playlist(path.read_bytes()) if path.exists() else MediaPlaylist(3, 1)


def wait_for_segments(server: EmsServer, count: int) -> None:
    """Return when the list has so many segments."""
    wait_until(lambda: len(playlist_of(server).segments) >= count, f"{count} segments", 30)


def begin(server: EmsServer, children: Children, clip: Callable[[str], Path], **parameters: str) -> Child:
    """Write what ffmpeg publishes; gives the publisher."""
    parameters = {"localStreamNames": "cam", "targetFolder": "webroot", "groupName": "hls", "chunkLength": "1", **parameters}
    server.api("createHLSStream", **parameters)
    # A rolling list stays open when its source ends, and players wait for more: so it does not end.
    endless = parameters.get("playlistType") == "rolling"
    publisher = publish_with_ffmpeg(children, clip("h264_aac"), server.rtmp("cam"), endless=endless)
    wait_for_segments(server, 3)
    return publisher


def probe(url: str) -> str:
    """What ffprobe says of the streams at an address."""
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=40)
    assert not done.stderr
    return done.stdout


def decode(url: str, *options: str) -> None:
    """AssertionError when ffmpeg finds anything to complain about in `SECONDS` of an address."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", url, *options, "-t", str(SECONDS), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr


def play_with_gstreamer(children: Children, url: str) -> None:
    """AssertionError when GStreamer does not bring pictures and sound."""
    sinks = (f"decoded. ! {kind}/x-raw ! fakesink name={kind} sync=false silent=false" for kind in ("video", "audio"))
    pipeline = f"souphttpsrc location={url} ! hlsdemux ! decodebin name=decoded {' '.join(sinks)}"
    player = children.start("gst-launch-1.0", "-v", *pipeline.split())
    # It is stopped from outside: hlsdemux goes on with a live list when its sinks have had enough.
    for kind in ("video", "audio"):
        wait_until(lambda kind=kind: player.output.count(f"{kind}: last-message = chain") > 50, f"50 buffers of {kind}", 20)
    player.stop()
    assert "ERROR" not in player.output and "WARNING" not in player.output, player.output


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
@pytest.mark.parametrize("playlist_type", ["appending", "rolling"])
def test_players_on_any_http_server(
    children: Children,
    ems_server: EmsServer,
    clip: Callable[[str], Path],
    plain_http: Callable[[str], str],
    tmp_path: Path,
    segment_type: str,
    playlist_type: str,
) -> None:
    """The folder plays from a server that only knows files: in ffmpeg, in VLC and in GStreamer."""
    begin(ems_server, children, clip, segmentType=segment_type, playlistType=playlist_type, playlistLength="5")
    url = plain_http("server/webroot/hls/playlist.m3u8")
    assert set(probe(url).split()) == {"h264,640", "aac"}
    decode(url)
    if segment_type == "ts":
        play_with_gstreamer(children, url)
    playback = play_with_vlc(children, url, tmp_path, SECONDS)()
    assert not playback.complaints and playback.pictures >= SECONDS - 4


def test_players_on_our_web_server(
    children: Children, web_server: tuple[EmsServer, int], clip: Callable[[str], Path], tmp_path: Path
) -> None:
    """The address of the documents, http://server:8888/<group>/playlist.m3u8, plays."""
    server, port = web_server
    begin(server, children, clip, playlistType="rolling")
    url = f"http://127.0.0.1:{port}/hls/playlist.m3u8"
    assert set(probe(url).split()) == {"h264,640", "aac"}
    decode(url)
    playback = play_with_vlc(children, url, tmp_path, SECONDS)()
    assert not playback.complaints and playback.pictures >= SECONDS - 4


def test_kill_and_restart(children: Children, tmp_path: Path, clip: Callable[[str], Path]) -> None:
    """After kill -9 the job goes on by itself with the old list, and what was written plays to its end."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = EmsServer(children, folder)
    publisher = begin(server, children, clip, hlsResume="1")
    server.kill()
    publisher.wait(10)
    before = playlist_of(server)
    server = EmsServer(children, folder)
    assert [job["localStreamName"] for job in server.api("listConfig")["hls"]] == ["cam"]
    publish_with_ffmpeg(children, clip("h264_aac"), server.rtmp("cam"))
    wait_for_segments(server, len(before.segments) + 3)
    after = playlist_of(server)
    assert after.segments[: len(before.segments)] == before.segments
    assert after.segments[len(before.segments)].discontinuity
    server.api("removeConfig", id="1")
    assert playlist_of(server).ended
    server.stop()
    assert not list(folder.rglob("*.tmp"))
    # Where one source ends and the next begins, the last frame of sound may reach a little over the first.
    decode(str(folder / "webroot/hls/cam/playlist.m3u8"), "-map", "0:v")
