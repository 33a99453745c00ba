"""The real server as a process of its own, for tests that go through its doors."""

import base64
import json
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.certificates import make_certificate
from tests.processes import Child, Children, free_port, wait_until

DOORS = ("inboundRtmp", "inboundAsciiCli", "inboundJsonCli", "inboundHttpJsonCli")

DOOR_OF = {"rtmp": "inboundRtmp", "rtmps": "inboundRtmps", "rtmpt": "inboundRtmpt", "rtmpts": "inboundRtmps"}
"""Which door an address of the RTMP family leads to."""

KEYS = {
    "inboundJsonCli": ", useLengthPadding = true",
    "inboundLiveFlv": ", waitForMetadata = true",
    "inboundRtmps": ', sslKey = "server.key", sslCert = "server.cert"',
}
"""What the doors have beside an address; the certificate is made for each server, in its runtime directory."""

STOP_TIME = 2
"""Seconds within which the server has to be gone after SIGTERM."""


class EmsServer:
    """A server that listens on free ports of 127.0.0.1 and keeps its files in `folder`.

    `settings` is Lua text put into the application's table: ``demoStream = "demo"``. The web server is off unless they say
    ``runWebServer = true``; its ``webconfig.lua`` in `folder` then names a free port.
    """

    def __init__(self, children: Children, folder: Path, settings: str = "", doors: tuple[str, ...] = DOORS) -> None:
        self.folder = folder
        self.ports = {door: free_port() for door in doors}
        if "inboundRtmps" in doors:
            make_certificate().write(folder)
        config = folder / "server.lua"
        config.write_text(_configuration(self.ports, settings))
        self._child: Child = children.start(
            sys.executable, "-m", "ems", "--config", config, "--runtime", folder, PYTHONUNBUFFERED="1"
        )
        wait_until(lambda: "Ctrl-C" in self.output or not self._child.running, "the server to start", 20)
        assert self._child.running, f"the server did not start:\n{self.output}"

    @property
    def output(self) -> str:
        """What it has printed and logged so far."""
        return self._child.output

    @property
    def process_id(self) -> int:
        """The number of its process."""
        return self._child.process.pid

    def rtmp(self, stream: str, application: str = "live", scheme: str = "rtmp") -> str:
        """The address of a stream, with RTMP or one of its relatives."""
        return f"{scheme}://127.0.0.1:{self.ports[DOOR_OF[scheme]]}/{application}/{stream}"

    def api(self, command: str, **parameters: str) -> Any:
        """The `data` of a command's answer over the HTTP door; AssertionError when it failed."""
        text = " ".join(f"{key}={value}" for key, value in parameters.items())
        query = base64.b64encode(text.encode()).decode()
        url = f"http://127.0.0.1:{self.ports['inboundHttpJsonCli']}/{command}?params={query}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            reply = json.load(answer)
        assert reply["status"] == "SUCCESS", reply
        return reply["data"]

    def stream_names(self) -> set[str]:
        """The names of the inbound streams."""
        return {stream["name"] for stream in self.api("listInboundStreamNames") or []}

    def wait_for_stream(self, name: str) -> None:
        """Return when a stream of that name has come in."""
        wait_until(lambda: name in self.stream_names(), f"the stream {name}")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._child.stop(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it as a user would; AssertionError when that is not clean or anything went wrong before."""
        assert self._child.running, f"the server ended by itself:\n{self.output}"
        self._child.process.send_signal(signal.SIGTERM)
        status = self._child.wait(STOP_TIME)
        assert status == 0, f"the server ended with status {status}:\n{self.output}"
        assert "Traceback" not in self.output, self.output


def _configuration(ports: dict[str, int], settings: str) -> str:
    acceptors = ",\n".join(
        f'{{ ip = "127.0.0.1", port = {port}, protocol = "{protocol}"{KEYS.get(protocol, "")} }}'
        for protocol, port in ports.items()
    )
    if "runWebServer" not in settings:
        settings = f"runWebServer = false, {settings}"
    return f"""configuration = {{
    logAppenders = {{ {{ name = "console", type = "console", level = 3 }} }},
    applications = {{ {{
        name = "ems", default = true, aliases = {{ "live" }}, {settings}
        acceptors = {{ {acceptors} }},
    }} }},
}}
"""
