"""What the benchmarks run: the two servers, the clients in C, and the clip they publish.

The server under test has one processor core to itself and the clients have another, so that neither's work slows the other.
Everything that is made once (clip, compiled clients) is kept in ``.cache/bench``.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.processes import Child, Children, free_port, wait_until

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "bench"
CLIENTS = CACHE / "clients"

SERVER_CORE = 0
CLIENT_CORE = 1

START_SECONDS = 20
"""How long a server may take until it accepts connections."""

LOG_LEVEL = 2
"""Warnings: a line of log for each player would be measured along."""

CLIP_SECONDS = 20
FRAME_RATE = 30
GOP_SECONDS = 2

NGINX_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"


class RtmpServer:
    """A server under test: `name` for people, the process, and the port where its application ``live`` takes RTMP."""

    def __init__(self, name: str, child: Child, port: int) -> None:
        self.name = name
        self.port = port
        self._child = child
        wait_until(lambda: _listens(port) or not child.running, f"{name} to listen", START_SECONDS)
        assert child.running, f"{name} did not start:\n{child.output}"

    @property
    def process_id(self) -> int:
        """The number of its only process."""
        return self._child.process.pid

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        self._child.stop()


def start_ems(children: Children, folder: Path, reactor: str = "asyncio", more: str = "") -> RtmpServer:
    """Our server with an RTMP port and nothing else, as `ems` starts it unless another reactor is asked for.

    `more` is the Lua text of further acceptors.
    """
    port = free_port()
    config = folder / "config.lua"
    config.write_text(f"""configuration = {{
    logAppenders = {{ {{ name = "console", type = "console", level = {LOG_LEVEL} }} }},
    applications = {{ {{
        name = "ems", default = true, aliases = {{ "live" }}, demoStream = "", runWebServer = false,
        acceptors = {{ {{ ip = "127.0.0.1", port = {port}, protocol = "inboundRtmp" }}, {more} }},
    }} }},
}}
""")
    command = (sys.executable, "-m", "ems", "--config", config, "--runtime", folder, "--reactor", reactor)
    return RtmpServer("ems", _pinned(children, SERVER_CORE, *command), port)


def start_nginx(children: Children, folder: Path, live: str = "live on; play_restart off;") -> RtmpServer:
    """nginx with the rtmp module as one process, and its application ``live`` as given; what is not named has its default."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(f"""load_module {NGINX_MODULE};
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        chunk_size 4096;
        application live {{ {live} }}
    }}
}}
""")
    return RtmpServer("nginx", _pinned(children, SERVER_CORE, "nginx", "-p", folder, "-c", config), port)


STARTERS = {"ems": start_ems, "nginx": start_nginx}


class Publisher:
    """One process that publishes the clip in real time, over and over; each `stamped`th picture has its number and time.

    The streams are ``live/s``, or with `streams` ``live/s0`` and so on. Returns when the server has accepted all.
    """

    def __init__(self, children: Children, port: int, streams: int = 0, seconds: int = 600, stamped: int = 1) -> None:
        self._seconds = seconds
        words = (client("rtmp_pub"), "-p", port, "-u", "live/s", "-m", streams, "-t", seconds, "-e", stamped, clip())
        self._child = _pinned(children, CLIENT_CORE, *words)
        wait_until(lambda: "PUBLISHING" in self._child.output or not self._child.running, "the streams to be accepted", 30)
        assert self._child.running, f"the publisher gave up:\n{self._child.output}"

    def stop(self) -> None:
        """Stop publishing before its time; AssertionError when the server had cut a stream off."""
        assert self._child.running, f"the publisher ended by itself:\n{self._child.output}"
        assert "dropped" not in self._child.output, self._child.output
        self._child.stop()

    def result(self) -> dict[str, Any]:
        """What it has sent, in the words of ``rtmp_pub.c``, when its time is over."""
        return _last_line(self._child, self._seconds + 10)


class Players:
    """One process of `count` players of ``live/s``: they connect, `settle` for some seconds, and are measured for others.

    `program` is ``rtmp_load``, or ``rtmps_load`` for players inside TLS.
    """

    def __init__(
        self, children: Children, port: int, count: int, *, settle: int, seconds: int, program: str = "rtmp_load"
    ) -> None:
        words = (client(program), "-p", port, "-u", "live/s", "-n", count, "-s", settle, "-d", seconds)
        self.count = count
        self._child = _pinned(children, CLIENT_CORE, *words)

    @property
    def process_id(self) -> int:
        """The number of the process, to stop it for a while."""
        return self._child.process.pid

    def wait_for(self, mark: str, timeout: float) -> None:
        """Wait for READY (all connected), START or END (of the measurement)."""
        wait_until(lambda: mark in self._child.output or not self._child.running, f"{mark} of {self.count} players", timeout)
        assert mark in self._child.output, f"the players gave up:\n{self._child.output}"

    def result(self) -> dict[str, Any]:
        """What they have seen, in the words of ``rtmp_load.c``, when they are done."""
        return _last_line(self._child, 10)


def client(name: str) -> Path:
    """The path of a client program, compiled when its source is newer."""
    program = CLIENTS / name
    subprocess.run(["make", "-s", "-C", ROOT / "bench" / "clients", f"OUT={CLIENTS}", program], check=True)
    return program


def clip() -> Path:
    """720p at 30 frames/s with AAC, 2.5 Mbit/s in all, a key frame each 2 s; made by ffmpeg when it is first wanted."""
    path = CACHE / "720p30.flv"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        picture = f"testsrc2=s=1280x720:r={FRAME_RATE}:d={CLIP_SECONDS},noise=alls=12:allf=t,format=yuv420p"
        sound = f"aevalsrc='0.1*sin(2*PI*(200+9*t)*t)':s=44100:c=stereo:d={CLIP_SECONDS}"
        h264 = f"-c:v libx264 -preset superfast -b:v 2350k -maxrate 2350k -bufsize 4700k -bf 0 -g {FRAME_RATE * GOP_SECONDS}"
        inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
        options = f"{h264} -sc_threshold 0 -c:a aac -b:a 128k -f flv".split()
        unfinished = path.with_suffix(".part")
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *inputs, *options, unfinished], check=True, timeout=120)
        unfinished.replace(path)
    return path


def require(*programs: str) -> None:
    """Leave with one line when a program that the benchmark needs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; tests/setup-machine.sh installs everything")


def _pinned(children: Children, core: int, *command: object) -> Child:
    return children.start("taskset", "-c", str(core), *[str(word) for word in command])


def _last_line(child: Child, timeout: float) -> dict[str, Any]:
    """The object that a client prints as it ends."""
    child.wait(timeout)
    found: dict[str, Any] = json.loads(child.output.splitlines()[-1])
    return found


def _listens(port: int) -> bool:
    """Whether a process listens on a TCP port: asked of the kernel, so that no connection is made."""
    wanted = f":{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()
