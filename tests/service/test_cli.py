"""The `ems` command as users meet it: its greeting, its errors, its end."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ems.cli import greeting
from tests.processes import Child, Children, free_port, wait_until
from tests.server import EmsServer

CHECKOUT = Path(__file__).parents[2]


def ems(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "ems", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=CHECKOUT)


def config_file(folder: Path, acceptors: str, more: str = "") -> Path:
    """A small configuration."""
    path = folder / "my.lua"
    path.write_text(
        "configuration = { applications = { { "
        f'name = "ems", default = true, runWebServer = false, {more} acceptors = {{ {acceptors} }} }} }} }}'
    )
    return path


def rtmp_on(port: int) -> str:
    """An acceptor for RTMP."""
    return f'{{ ip = "127.0.0.1", port = {port}, protocol = "inboundRtmp" }}'


def test_version() -> None:
    """`ems --version` names the product and its version."""
    assert ems("--version").stdout.startswith("EMS 0.")


def test_mistyped_option_is_one_line() -> None:
    """A mistyped option is told in one line on standard error, with status 2."""
    done = ems("--confg", "x")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--confg" in done.stderr


def test_check_config_finds_nothing_wrong_with_the_shipped_file() -> None:
    """The configuration that comes with the server holds."""
    done = ems("--check-config", CHECKOUT / "config" / "config.lua")
    assert done.returncode == 0, done.stderr
    assert "no error" in done.stdout


def test_check_config_tells_all_problems(tmp_path: Path) -> None:
    """Every mistake of a configuration is told at once, each in a line, with status 1."""
    path = config_file(tmp_path, '{ ip = "127.0.0.1", port = "x", protocol = "inboundRtmp" }, { ip = "127.0.0.1", port = 1 }')
    done = ems("--check-config", path)
    assert done.returncode == 1
    assert "my.lua: applications[1].acceptors[1].port: " in done.stderr
    assert "my.lua: applications[1].acceptors[2].protocol: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--check-config", "--config"])
def test_missing_configuration_is_told(tmp_path: Path, option: str) -> None:
    """A configuration that is not there is named, without a traceback."""
    done = ems(option, tmp_path / "nothing.lua", "--runtime", tmp_path)
    assert done.returncode == 1
    assert "nothing.lua" in done.stderr
    assert "Traceback" not in done.stderr


def test_taken_port_is_told(tmp_path: Path, children: Children) -> None:
    """A port that somebody else has ends the start with the name of the acceptor."""
    server = EmsServer(children, tmp_path)
    port = server.ports["inboundRtmp"]
    folder = tmp_path / "second"
    folder.mkdir()
    done = ems(
        "--config", config_file(folder, f'{{ ip = "127.0.0.1", port = {port}, protocol = "inboundRtmp" }}'), "--runtime", folder
    )
    assert done.returncode == 1
    assert f"inboundRtmp 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
    server.stop()


def test_greeting_says_what_listens_and_what_to_try(tmp_path: Path) -> None:
    """The first lines tell each door and the commands to publish, to play and to ask, with addresses that one can reach."""
    text = greeting([("inboundRtmp", "0.0.0.0", 1935), ("inboundAsciiCli", "127.0.0.1", 1222)], tmp_path)
    assert "inboundRtmp      0.0.0.0:1935" in text
    assert "rtmp://127.0.0.1:1935/live/demo" in text
    assert "telnet 127.0.0.1 1222" in text


def test_greeting_suggests_nothing_that_is_not_there(tmp_path: Path) -> None:
    """Without an RTMP door nobody is told to publish there; IPv6 addresses stand in brackets."""
    text = greeting([("inboundAsciiCli", "::", 1222)], tmp_path)
    assert "rtmp://" not in text
    assert "[::]:1222" in text


def start(children: Children, folder: Path, *options: str | Path) -> Child:
    """Start a server with one door."""
    config = config_file(
        folder, f'{{ ip = "127.0.0.1", port = {free_port()}, protocol = "inboundRtmp" }}', 'demoStream = "demo",'
    )
    child = children.start(
        *(sys.executable, "-m", "ems", "--config", config, "--runtime", folder, *options), PYTHONUNBUFFERED="1"
    )
    wait_until(lambda: "Ctrl-C" in child.output or not child.running, "the server to start", 20)
    assert child.running, child.output
    return child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_server_cleanly(tmp_path: Path, children: Children, number: int) -> None:
    """SIGTERM and Ctrl-C end the server within 2 s with status 0, even while it makes the demonstration clip."""
    child = start(children, tmp_path)
    began = time.monotonic()
    child.process.send_signal(number)
    assert child.wait(5) == 0, child.output
    assert time.monotonic() - began < 2
    assert "Traceback" not in child.output


def test_pid_file_lives_as_long_as_the_server(tmp_path: Path, children: Children) -> None:
    """`--pid FILE` holds the number of the process while it runs."""
    pid = tmp_path / "ems.pid"
    child = start(children, tmp_path, "--pid", pid)
    assert pid.read_text() == f"{child.process.pid}\n"
    child.stop()
    assert not pid.exists()


def test_other_reactor(tmp_path: Path, children: Children) -> None:
    """The server also runs on Twisted's epoll reactor."""
    child = start(children, tmp_path, "--reactor", "epoll")
    assert child.stop() == 0, child.output


def test_file_limit_is_raised(tmp_path: Path, children: Children) -> None:
    """The server may open as many connections as the system allows, whatever the shell's soft limit is."""
    child = start(children, tmp_path)
    limits = Path(f"/proc/{child.process.pid}/limits").read_text()
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
    assert soft == hard
    child.stop()


def test_twistd_runs_the_same_server(tmp_path: Path, children: Children) -> None:
    """`twistd ems` runs the server under Twisted's own daemon, and ends as cleanly."""
    port = free_port()
    config = config_file(tmp_path, rtmp_on(port))
    twistd = "from twisted.scripts.twistd import run; run()"
    child = children.start(
        *(sys.executable, "-c", twistd, "--nodaemon", "--pidfile=", "--reactor=asyncio"),
        *("ems", "--config", config, "--runtime", tmp_path),
        PYTHONPATH=str(CHECKOUT),
    )
    wait_until(lambda: listens(port) or not child.running, "twistd to start", 20)
    # twistd stops in order, and then ends by the very signal it was sent.
    assert child.stop() == -signal.SIGTERM, child.output
    assert "Server Shut Down" in child.output
    assert "Traceback" not in child.output


def listens(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
