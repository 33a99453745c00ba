"""The ``ems`` command: the media server in the foreground.

It reads what the user typed, starts the server on Twisted's asyncio reactor (which WebRTC needs), and says what listens where
and what to try first. What goes wrong is one or more lines on standard error, never a traceback, and exit status 1.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import ems
from ems.errors import CommandError
from ems.foreground import REACTORS, Foreground, StartError, install_reactor

Listening = tuple[str, str, int]
"""An acceptor that is open: its protocol's name in the configuration, its address, its port."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (default: those of the process) and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.check_config is not None:
            return check_config(options.check_config, options.runtime)
        if options.hash_password is not None:
            return hash_password(options.hash_password)
        serve(options)
    except (StartError, CommandError) as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return 0


def check_config(path: Path, runtime: Path) -> int:
    """Print every problem and every warning of a configuration file; the exit status is 1 when it cannot be used.

    Files that the configuration names are looked for in the runtime directory.
    """
    from ems.config import ConfigError, load_config
    from ems.plugins import acceptor_protocols

    try:
        config = load_config(path, known_protocols=acceptor_protocols(), directory=runtime)
    except ConfigError as error:
        return _complain(*error.problems)
    for warning in config.warnings:
        print(f"warning: {warning}")
    print(f"{path}: {len(config.application.acceptors)} acceptors, {len(config.warnings)} warnings, no error")
    return 0


def hash_password(user: str) -> int:
    """Ask for a user's password and print the line that stands for both in users.lua, where the password is not to be read."""
    from getpass import getpass

    from ems.security.users import users_line

    try:
        password = getpass(f"password of {user}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        if not password:
            return _complain("no password was given")
        print(users_line(user, password))
    except ValueError as error:
        return _complain(str(error))
    except EOFError:
        return _complain("no password was given")
    return 0


def serve(options: argparse.Namespace) -> None:
    """Run the server until it is stopped. Raises `StartError` when it cannot start."""
    runtime = options.runtime.absolute()
    reactor = install_reactor(options.reactor)

    def make() -> Any:
        return _make_service(options.config, runtime, reactor, options.use_implicit_console_appender)

    def started(service: Any) -> None:
        if options.pid is not None:
            options.pid.write_text(f"{os.getpid()}\n")
        print(greeting(service.listening(), runtime), flush=True)

    try:
        Foreground(reactor, make, started).run()
    finally:
        if options.pid is not None:
            options.pid.unlink(missing_ok=True)


def greeting(listening: Iterable[Listening], runtime: Path) -> str:
    """What the user reads first: what listens where, and what to try."""
    doors = sorted(listening, key=lambda door: (door[2], door[1]))
    width = max((len(protocol) for protocol, _, _ in doors), default=0)
    lines = [f"EMS {ems.__version__}, process {os.getpid()}, runtime directory {runtime}", ""]
    lines += [f"  {protocol:{width}}  {_authority(ip, port)}" for protocol, ip, port in doors]
    lines += ["", *_suggestions(doors), "Ctrl-C stops the server.", ""]
    return "\n".join(lines)


_SUGGESTIONS = (
    (
        "inboundRtmp",
        "publish  ffmpeg -re -f lavfi -i testsrc2 -pix_fmt yuv420p -c:v libx264 -g 50 -f flv rtmp://{authority}/live/mine",
    ),
    ("inboundRtmp", "play     ffplay rtmp://{authority}/live/demo"),
    ("http", "watch    http://{authority}/     in a browser"),
    ("inboundAsciiCli", "ask      telnet {host} {port}     and there: listStreams"),
)


def _suggestions(doors: Sequence[Listening]) -> list[str]:
    open_doors = {protocol: (ip, port) for protocol, ip, port in reversed(doors)}
    lines = []
    for protocol, text in _SUGGESTIONS:
        if protocol in open_doors:
            ip, port = open_doors[protocol]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(ip, ip)
            lines.append("  " + text.format(authority=_authority(host, port), host=host, port=port))
    return [*lines, ""] if lines else []


def _authority(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _make_service(config: Path | None, runtime: Path, reactor: Any, console: bool) -> Any:
    from ems.config import ConfigError
    from ems.service import make_service

    try:
        return make_service(config, runtime, reactor, begin_log=True, console=console)
    except ConfigError as error:
        raise StartError(str(error)) from error


def _complain(*problems: str) -> int:
    for problem in problems:
        for line in problem.splitlines():
            print(f"ems: {line}", file=sys.stderr)
    return 1


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistyped option is one line and not the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ems: {message}; try ems --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ems", description="EMS, a live media server, in the foreground.")
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="configuration (default: config/config.lua in the runtime directory)")
    add("--runtime", type=Path, metavar="DIR", default=Path(), help="holds config/, media/, webroot/, logs/ (default: .)")
    add("--check-config", type=Path, metavar="FILE", help="say what is wrong with a configuration, and end")
    add("--hash-password", metavar="USER", help="ask for a password, print the line for users.lua, and end")
    add("--pid", type=Path, metavar="FILE", help="write the process number into FILE while the server runs")
    add("--reactor", choices=REACTORS, default="asyncio", help="Twisted reactor; WebRTC needs asyncio (default)")
    add("--use-implicit-console-appender", action="store_true", help="log everything to the console as well")
    add("--version", action="version", version=f"EMS {ems.__version__}")
    return parser
