"""Plugins: the example of docs/plugins.md as its reader would use it, and what broken ones do to the server."""

import base64
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import av
import pytest

from tests.processes import Children, free_port, wait_until
from tests.server import EmsServer, _configuration

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "ems-line-protocol"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the example, without any network."""
    source = tmp_path_factory.mktemp("source") / EXAMPLE.name
    shutil.copytree(EXAMPLE, source)
    target = tmp_path_factory.mktemp("installed")
    offline = ("--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", str(target), str(source)]
    subprocess.run(command, check=True, timeout=120)
    return target


def lines_of(clip: Path, name: str) -> Iterator[bytes]:
    """The pictures of a clip as the example's protocol has them, over and over."""
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        record = base64.b64encode(video.codec_context.extradata or b"")
        packets = [packet for packet in container.demux(video) if packet.size]
        frames = [(b"%d" % packet.is_keyframe, base64.b64encode(bytes(packet))) for packet in packets]
    yield b"stream " + name.encode() + b"\n"
    yield b"track 0 h264 " + record + b"\n"
    for number in count():
        key, data = frames[number % len(frames)]
        yield b"frame 0 %d %s %s\n" % (number * 40, key, data)


def test_the_example_is_short() -> None:
    """The whole plugin has fewer than 100 lines."""
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and path.suffix in (".py", ".cfg", ".toml")]
    assert sum(len(path.read_text().splitlines()) for path in files) < 100


def test_the_example_is_streamed_through(
    children: Children, installed: Path, tmp_path: Path, clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed plugin takes a stream in by its own protocol, and ffprobe plays it over RTMP."""
    monkeypatch.setenv("PYTHONPATH", str(installed))
    folder = tmp_path / "server"
    folder.mkdir()
    server = EmsServer(children, folder, doors=("inboundRtmp", "inboundHttpJsonCli", "inboundLine"))
    lines = lines_of(clip("h264_only"), "lines")
    with socket.create_connection(("127.0.0.1", server.ports["inboundLine"])) as publisher:
        for _ in range(30):
            publisher.sendall(next(lines))
        server.wait_for_stream("lines")
        options = "-v error -of json -select_streams v -show_entries stream=codec_name,width,height -analyzeduration 1000000"
        probe = children.start("ffprobe", *options.split(), server.rtmp("lines"))

        def probed() -> bool:
            publisher.sendall(next(lines))
            return not probe.running

        wait_until(probed, "ffprobe to end")
    assert json.loads(probe.output)["streams"] == [{"codec_name": "h264", "width": 640, "height": 360}]
    wait_until(lambda: not server.stream_names(), "the stream to end with its publisher")
    server.stop()


def test_the_test_in_the_documentation_passes(installed: Path) -> None:
    """What docs/plugins.md shows as a test is one."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.DOTALL)
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": f"{installed}:{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        b"frame 0 0 1 AAAA",
        b"track 0 h264 AAAA",
        b"stream ../x",
        b"stream cam\nstream cam2",
        b"stream cam\ntrack 99 opus AAAA",
        b"stream cam\ntrack 0 h265 AAAA",
        b"stream cam\ntrack x opus AAAA",
        b"stream cam\ntrack 0 aac !",
        b"\xff\xfe",
        b"x" * (13 << 20),
    ],
    ids=range(10),
)
def test_the_example_bears_bad_input(line: bytes, installed: Path) -> None:
    """The example shows how to be strict: a publisher that breaks its protocol is disconnected, without a traceback."""
    code = """
import sys
from ems.testing import MemoryPeer, testing_server
from ems_line import InboundLine
from twisted.internet.task import Clock
clock = Clock()
server = testing_server(clock, protocols={"inboundLine": InboundLine()})
peer = MemoryPeer(server, "inboundLine")
peer.send(sys.stdin.buffer.read() + b"\\n")
clock.advance(1)
sys.exit(peer.connected or len(server.streams.inbound))
"""
    environment = {"PYTHONPATH": f"{installed}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], input=line, capture_output=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


def broken_plugin(folder: Path, code: str, module: str = "") -> None:
    """A plugin module, and a module beside it, that Python will find in the folder."""
    plugins = folder / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "broken_plugin.py").write_text(code)
    (folder / "broken_module.py").write_text(module)


LAZY = """
from ems.plugins import LazyAcceptorProtocol
broken = LazyAcceptorProtocol("inboundBroken", ("TCP",), "broken_module:Broken")
"""


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (
            "class Broken:\n    def make_factory(self, server, config):\n        raise RuntimeError('out of order')\n",
            "out of order",
        ),
        ("import nonsense_that_is_not_there\n", "nonsense_that_is_not_there"),
        ("", "Broken"),
    ],
    ids=["make_factory raises", "import fails", "no such class"],
)
def test_a_protocol_that_fails_is_named_at_start(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, reason: str
) -> None:
    """The server does not start, and its last word is which acceptor it is and why, not a traceback on the terminal."""
    broken_plugin(tmp_path, LAZY, module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    port = free_port()
    config = tmp_path / "server.lua"
    config.write_text(_configuration({"inboundBroken": port}, ""))
    command = [sys.executable, "-m", "ems", "--config", str(config), "--runtime", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ems: ")
    assert f"inboundBroken 127.0.0.1:{port}" in last
    assert reason in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("code", ["import nonsense_that_is_not_there\n", "this is no Python\n"])
def test_a_plugin_that_cannot_be_imported_is_left_out(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """The server starts without it, says so, and skips its acceptors."""
    broken_plugin(tmp_path, code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folder = tmp_path / "server"
    folder.mkdir()
    server = EmsServer(children, folder, doors=("inboundRtmp", "inboundHttpJsonCli", "inboundBroken"))
    assert server.stream_names() == set()
    assert "broken_plugin" in server.output
    assert "'inboundBroken' is not a protocol" in server.output or '"inboundBroken" is not a protocol' in server.output
