"""Programs that people use, against the web server of a running EMS."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from tests.processes import Children, free_port, wait_until
from tests.server import EmsServer

SECONDS = 6


class WithWeb:
    """A running server whose web root has a film and, made by ffmpeg, the same as HLS."""

    def __init__(self, children: Children, folder: Path, clip: Path, more: str = "") -> None:
        self.port = free_port()
        (folder / "webconfig.lua").write_text(
            f'configuration = {{ applications = {{ {{ port = {self.port}, bindToIP = "127.0.0.1", {more} }} }} }}'
        )
        self.server = EmsServer(children, folder, "runWebServer = true,")
        self.root = folder / "webroot"
        (self.root / "show").mkdir()
        film = self.root / "film.mp4"
        run("ffmpeg", "-nostdin", "-v", "error", "-i", clip, "-t", SECONDS, "-c", "copy", "-movflags", "+faststart", film)
        run(
            *("ffmpeg", "-nostdin", "-v", "error", "-i", film, "-c", "copy", "-f", "hls", "-hls_time", 2, "-hls_list_size", 0),
            self.root / "show/playlist.m3u8",
        )

    def url(self, path: str) -> str:
        """The address of a file."""
        return f"http://127.0.0.1:{self.port}/{path}"


def run(*command: object) -> bytes:
    """What a program prints. CalledProcessError when it fails."""
    return subprocess.run([*map(str, command)], capture_output=True, check=True, timeout=60).stdout


@pytest.fixture
def web(children: Children, tmp_path: Path, clip: object) -> Iterator[WithWeb]:
    """A running server with files."""
    folder = tmp_path / "server"
    folder.mkdir()
    started = WithWeb(children, folder, clip("h264_bframes_aac"))  # type: ignore[operator]
    yield started
    started.server.stop()


def test_it_is_among_the_open_doors(web: WithWeb) -> None:
    """Who starts the server reads where to point the browser."""
    assert f"http://127.0.0.1:{web.port}/" in web.server.output


@pytest.mark.parametrize("path", ["show/playlist.m3u8", "film.mp4"])
def test_ffprobe_reads_streams_and_films(web: WithWeb, path: str) -> None:
    """HLS, and a file with seeking over HTTP: all pictures of both."""
    frames = run(
        *("ffprobe", "-v", "error", "-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames"),
        *("-of", "json", web.url(path)),
    )
    local = run(
        *("ffprobe", "-v", "error", "-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames"),
        *("-of", "json", web.root / "film.mp4"),
    )
    assert json.loads(frames)["streams"] == json.loads(local)["streams"]


def test_curl_fetches_whole_in_parts_and_resumes(web: WithWeb, tmp_path: Path) -> None:
    """A download that broke off goes on where it was; two parts make the whole; a compressed playlist unpacks."""
    film = (web.root / "film.mp4").read_bytes()
    half = tmp_path / "half.mp4"
    half.write_bytes(film[:1000])
    run("curl", "-sSf", "-C", "-", "-o", half, web.url("film.mp4"))
    assert half.read_bytes() == film
    assert run("curl", "-sSf", "-r", "10-19", web.url("film.mp4")) == film[10:20]
    playlist = (web.root / "show/playlist.m3u8").read_bytes()
    assert run("curl", "-sSf", "--compressed", web.url("show/playlist.m3u8")) == playlist
    assert run("curl", "-sSf", "-I", web.url("film.mp4")).startswith(b"HTTP/1.1 200")


def test_curl_is_a_viewer_to_the_api(web: WithWeb) -> None:
    """What one watches is seen by the commands, over the HTTP door and at /api/."""
    run("curl", "-sSf", "-A", "curl", web.url("show/playlist.m3u8"))
    (session,) = web.server.api("listHttpStreamingSessions")
    assert session["targetFolder"] == str(web.root / "show")
    reply = json.loads(run("curl", "-sSf", web.url("api/httpClientsConnected")))
    assert reply["data"]["httpStreamingSessionsCount"] == 1


def test_a_thousand_files_over_one_connection(web: WithWeb) -> None:
    """curl keeps its connection; every answer is whole."""
    segment = next((web.root / "show").glob("*.ts"))
    many = run("curl", "-sSf", *[web.url(f"show/{segment.name}")] * 50)
    assert many == segment.read_bytes() * 50


def test_a_port_that_is_taken_is_told_at_start(web: WithWeb, children: Children, tmp_path: Path) -> None:
    """One line that names the web server and its address, and no traceback."""
    folder = tmp_path / "second"
    folder.mkdir()
    config = folder / "server.lua"
    config.write_text('configuration = { applications = { { name = "ems", acceptors = {} } } }')
    (folder / "webconfig.lua").write_text(
        f'configuration = {{ applications = {{ {{ port = {web.port}, bindToIP = "127.0.0.1" }} }} }}'
    )
    second = children.start(sys.executable, "-m", "ems", "--config", config, "--runtime", folder)
    wait_until(lambda: not second.running, "the second server to give up", 20)
    assert f"the web server cannot listen on 127.0.0.1:{web.port}" in second.output
    assert "Traceback" not in second.output


@pytest.mark.parametrize(
    ("mode", "certified", "scheme"),
    [("always", True, "https"), ("auto", True, "https"), ("auto", False, "http"), ("disabled", True, "http")],
)
def test_curl_fetches_by_the_ssl_mode(
    children: Children, tmp_path: Path, clip: object, mode: str, certified: bool, scheme: str
) -> None:
    """HTTPS where it is asked for and can be had, whole and many files over one connection; and not the other scheme."""
    certificate = tmp_path / "web.cert"
    if certified:
        make_certificate().write(tmp_path, "web")
    keys = f'sslMode = "{mode}", sslKeyFile = "{tmp_path / "web.key"}", sslCertFile = "{certificate}"'
    folder = tmp_path / "server"
    folder.mkdir()
    web = WithWeb(children, folder, clip("h264_bframes_aac"), keys)  # type: ignore[operator]
    curl = ("curl", "-sSf", *(("--cacert", certificate) if certified else ()))
    url = web.url("film.mp4").replace("http:", f"{scheme}:")
    film = (web.root / "film.mp4").read_bytes()
    assert run(*curl, *[url] * 5) == film * 5
    assert run(*curl, "-r", "10-19", url) == film[10:20]
    with pytest.raises(subprocess.CalledProcessError):
        run(*curl, web.url("film.mp4") if scheme == "https" else url.replace("http:", "https:"))
    web.server.stop()


def test_https_that_cannot_be_had_is_told_at_start(children: Children, tmp_path: Path) -> None:
    """sslMode=always without a key does not fall back to what everybody on the way can read."""
    config = tmp_path / "server.lua"
    config.write_text('configuration = { applications = { { name = "ems", acceptors = {} } } }')
    (tmp_path / "webconfig.lua").write_text(
        f'configuration = {{ applications = {{ {{ port = {free_port()}, sslMode = "always" }} }} }}'
    )
    server = children.start(sys.executable, "-m", "ems", "--config", config, "--runtime", tmp_path)
    wait_until(lambda: not server.running, "the server to give up", 20)
    assert "no HTTPS for the web server" in server.output
    assert "Traceback" not in server.output
