"""Metadata with a browser's WebSocket: the one of Node.js, which is that of undici."""

import json
from pathlib import Path

import pytest

from tests.processes import Children, wait_until
from tests.server import EmsServer

PAGE = """
const ws = new WebSocket(process.argv[1]);
ws.onopen = () => ws.send(JSON.stringify({ hello: "world", n: 1.5 }));
ws.onmessage = (event) => { console.log("message " + event.data); ws.close(1000, "done"); };
ws.onclose = (event) => console.log(`close ${event.code} ${event.wasClean}`);
ws.onerror = (event) => console.log("error");
"""
"""The page of the manual, in short."""


@pytest.fixture
def server(children: Children, tmp_path: Path) -> EmsServer:
    """A server with a metadata port."""
    folder = tmp_path / "server"
    folder.mkdir()
    return EmsServer(children, folder, doors=("inboundHttpJsonCli", "wsJsonMeta", "inboundJsonMeta"))


def test_the_page_of_the_manual(children: Children, server: EmsServer) -> None:
    """R-084: it sends JSON, hears its own message in the envelope, and closes cleanly; the server has kept it."""
    address = f"ws://127.0.0.1:{server.ports['wsJsonMeta']}/lobby"
    page = children.start("node", "--experimental-websocket", "-e", PAGE, address)
    wait_until(lambda: not page.running, "the page to close", 20)
    lines = [line for line in page.output.splitlines() if line.startswith(("message ", "close ", "error"))]
    assert lines[1:] == ["close 1000 true"]
    text = lines[0].removeprefix("message ")
    assert json.loads(text)["data"] == {"hello": "world", "n": 1.5}
    assert server.api("getMetadata", localStreamName="lobby") == text
    server.stop()


def test_a_script_over_tcp(children: Children, server: EmsServer) -> None:
    """The line of the documentation: an object by a shell is metadata of every stream."""
    children.start("bash", "-c", f"echo '{{\"lat\": 32.8}}' > /dev/tcp/127.0.0.1/{server.ports['inboundJsonMeta']}")
    wait_until(lambda: server.api("getMetadata") != "", "the metadata")
    assert json.loads(server.api("getMetadata", localStreamName="any"))["data"] == {"lat": 32.8}
    server.stop()
