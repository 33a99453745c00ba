"""A server that is killed at random moments while it is being told to make and remove jobs, and what it knows afterwards.

The test and ``bench/kill_jobs.py`` share it. The pushes are of streams that do not exist, so that they do nothing but wait.
"""

import json
import os
import random
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.processes import Children
from tests.server import EmsServer

CALLERS = 4
"""Connections that give commands at the same time."""

LONGEST_WRITE = 0.03
"""Seconds: the kill comes at a random moment within them, so that it finds a file at every stage of being written."""

SETTINGS = 'pushPullPersistenceFile = "pushPullSetup.xml",'


class Caller:
    """A connection to the JSON door, with at most one command under way."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._received = b""
        self.line = ""

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def send(self, line: str) -> None:
        """Give a command."""
        self.line = line
        self._socket.sendall(line.encode() + b"\r\n")

    def receive(self) -> dict[str, Any] | None:
        """The reply when it has come, else None. Raises `OSError` when the server is gone."""
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server is gone")
        self._received += data
        if len(self._received) < 4 or len(self._received) < 4 + int.from_bytes(self._received[:4], "big"):
            return None
        reply, self._received = json.loads(self._received[4:]), b""
        return dict(reply)

    def ask(self, line: str) -> Any:
        """Give a command and return its data; AssertionError when it fails."""
        self.send(line)
        while (reply := self.receive()) is None:
            pass
        assert reply["status"] == "SUCCESS", reply
        return reply["data"]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@dataclass
class Knowledge:
    """What the callers were told: names of jobs that exist, and of those that may, because nobody answered."""

    ids: dict[str, int] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    answers: int = 0

    def expect(self, jobs: Iterable[dict[str, Any]]) -> list[str]:
        """Compare with what the server says; returns what is wrong, and takes over what is."""
        found: dict[str, int] = {}
        wrong: list[str] = []
        for job in jobs:
            name = job["localStreamName"]
            if name in found:
                wrong.append(f"{name} is there twice")
            found[name] = job["configId"]
        wrong += [f"{name} is lost" for name in self.ids.keys() - found.keys() - self.unsure]
        wrong += [f"{name} has returned" for name in found.keys() - self.ids.keys() - self.unsure]
        wrong += [f"{name} has another id" for name in found.keys() & self.ids.keys() if found[name] != self.ids[name]]
        self.ids, self.unsure = found, set()
        return wrong

    def next_line(self, chance: random.Random, number: int) -> str:
        """A command: mostly a new push, sometimes the end of one that nobody else is about to end."""
        idle = sorted(self.ids.keys() - self.unsure)
        if idle and chance.random() < 0.3:
            name = chance.choice(idle)
            self.unsure.add(name)
            return f"removeConfig id={self.ids[name]} commandId={name}"
        name = f"job{number}"
        self.unsure.add(name)
        return f"pushStream uri=rtmp://192.0.2.9/live localStreamName={name} commandId={name}"

    def answered(self, reply: dict[str, Any], line: str) -> None:
        """A command was carried out."""
        assert reply["status"] == "SUCCESS", reply
        name = reply["responseId"]
        self.unsure.discard(name)
        self.answers += 1
        if line.startswith("pushStream"):
            self.ids[name] = reply["data"]["configId"]
        else:
            del self.ids[name]


def command_until_killed(server: EmsServer, knowledge: Knowledge, chance: random.Random, numbers: Iterable[int]) -> None:
    """Give commands over several connections, and kill the server with SIGKILL after a random number of replies."""
    callers = [Caller(server.ports["inboundJsonCli"]) for _ in range(CALLERS)]
    left = chance.randrange(1, 120)
    each = iter(numbers)
    for caller in callers:
        caller.send(knowledge.next_line(chance, next(each)))
    while left:
        # Replies are taken in any order, so that a kill finds commands at every stage.
        caller = chance.choice(callers)
        reply = caller.receive()
        if reply is None:
            continue
        knowledge.answered(reply, caller.line)
        left -= 1
        caller.send(knowledge.next_line(chance, next(each)))
    time.sleep(chance.random() * LONGEST_WRITE)
    os.kill(server.process_id, signal.SIGKILL)
    for caller in callers:
        _take_what_came(caller, knowledge)
        caller.close()


def _take_what_came(caller: Caller, knowledge: Knowledge) -> None:
    """A reply that was sent before the end counts."""
    try:
        while True:
            reply = caller.receive()
            if reply is not None:
                knowledge.answered(reply, caller.line)
                return
    except OSError:
        return


def jobs_of(server: EmsServer) -> list[dict[str, Any]]:
    """All pushes that the server knows."""
    caller = Caller(server.ports["inboundJsonCli"])
    pushes: list[dict[str, Any]] = caller.ask("listConfig")["push"]
    caller.close()
    return pushes


def start(children: Children, folder: Path) -> EmsServer:
    """A server that keeps its jobs in that folder."""
    return EmsServer(children, folder, SETTINGS, doors=("inboundJsonCli",))
