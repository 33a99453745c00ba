"""What clients of the original send about HLS, metadata and viewers, and what they compare in the replies: a real server, its
HTTP door, one request after the other."""

import base64
import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Children, free_port, wait_until
from tests.server import EmsServer

DOORS = ("inboundHttpJsonCli", "inboundJsonMeta", "wsJsonMeta")


class Client:
    """A client of the runtime API; `out` is a folder that nobody else uses."""

    def __init__(self, server: EmsServer, out: Path) -> None:
        self.server = server
        self.out = out

    def ask(self, line: str) -> Any:
        """The reply to a request line; ``{out}`` in it is the folder."""
        command, _, parameters = line.format(out=self.out).partition(" ")
        query = base64.b64encode(parameters.encode()).decode()
        url = f"http://127.0.0.1:{self.server.ports['inboundHttpJsonCli']}/{command}?params={query}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def data(self, line: str, description: str) -> Any:
        """The data of a reply that must be a success with this description."""
        reply = self.ask(line)
        assert (reply["status"], reply["description"]) == ("SUCCESS", description), reply
        return reply["data"]

    def refusal(self, line: str) -> str:
        """The description of a reply that must be a failure."""
        reply = self.ask(line)
        assert (reply["status"], reply["data"]) == ("FAIL", None), reply
        return str(reply["description"])

    def send_metadata(self, port: int, text: str) -> None:
        """Bring metadata over TCP."""
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(text.encode())


@pytest.fixture
def client(children: Children, tmp_path: Path) -> Iterator[Client]:
    """A client of a fresh server with a web server, which must stop cleanly."""
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "webconfig.lua").write_text(
        f'configuration = {{ applications = {{ {{ port = {free_port()}, bindToIP = "127.0.0.1" }} }} }}\n'
    )
    server = EmsServer(children, folder, "runWebServer = true,", DOORS)
    yield Client(server, tmp_path / "out")
    server.stop()


def test_an_hls_group_is_made_listed_and_removed(client: Client) -> None:
    """The reply has every value and an id for each stream; the group can be removed as one."""
    empty = client.data("listConfig", "Run-time configuration")
    assert empty == {kind: [] for kind in ("dash", "hds", "hls", "mss", "process", "pull", "push", "record", "webrtc")}
    line = (
        "createHLSStream localStreamNames=hi,lo bandwidths=900,300 targetFolder={out} groupName=g1 playlistType=rolling _crew=red"
    )
    made = client.data(line, "HLS stream created")
    expected = {
        "localStreamNames": ["hi", "lo"],
        "bandwidths": [900, 300],
        "chunkLength": 10,
        "playlistLength": 10,
        "staleRetentionCount": 10,
        "playlistName": "playlist.m3u8",
        "chunkBaseName": "segment",
        "drmType": "none",
        "groupName": "g1",
        "_crew": "red",
    }
    assert {key: made[key] for key in expected} == expected
    first, second = made["configIds"]
    assert first < second
    entries = client.data("listConfig", "Run-time configuration")["hls"]
    assert [(one["configId"], one["localStreamName"], one["_crew"]) for one in entries] == [
        (first, "hi", "red"),
        (second, "lo", "red"),
    ]
    assert [one["status"]["current"]["description"] for one in entries] == ["Waiting for stream"] * 2
    assert client.data(f"getConfigInfo id={first}", "Configuration Info")["operationType"] == 3
    assert "already" in client.refusal("createHLSStream localStreamNames=hi targetFolder={out} groupName=g1")
    client.data("removeConfig groupName=g1", "Configuration terminated")
    assert client.data("listConfig", "Run-time configuration")["hls"] == []


@pytest.mark.parametrize(
    ("line", "description"),
    [
        (
            "createHLSStream localStreamNames=hi,lo bandwidths=900 targetFolder={out} groupName=g1",
            "Syntax error. Parameters bandwidths and localStreamNames have different number of elements",
        ),
        (
            "createHLSStream localStreamNames=hi targetFolder={out} playlistType=endless",
            "Syntax error for appending parameter. Type help for details",
        ),
        ("createHLSStream", "Syntax error. No parameters provided"),
        ("createHLSStream localStreamNames=hi", "Syntax error. Parameter targetFolder is invalid"),
        ("createHLSStream targetFolder={out}", "Syntax error. Parameter localStreamNames is invalid"),
        ("removeConfig removeHlsHdsFiles=1", "No id nor group name provided"),
        ("getConfigInfo id=7", "Config ID not found"),
        ("addMetadataListener port=8110 ip=localhost", "Invalid ip"),
        ("pushMetadata localStreamName=x type=foo", "type must be 'vmf' (only option at this time)"),
    ],
)
def test_mistakes_are_told_in_known_words(client: Client, line: str, description: str) -> None:
    """Scripts compare the descriptions of failures."""
    assert client.refusal(line) == description


def test_names_that_nobody_has_given(client: Client) -> None:
    """A group of several streams without a name gets one, which the reply tells."""
    made = client.data("createHLSStream localStreamNames=a,b targetFolder={out}", "HLS stream created")
    assert re.fullmatch("hls_group_[A-Za-z0-9]{8}", made["groupName"])


def test_metadata_is_got_as_it_came(client: Client) -> None:
    """Without any the reply says so; then it has the newest, as a string; a listener can be opened and is listed."""
    assert client.ask("getMetadata localStreamName=none") == {"data": "", "description": "No Metadata", "status": "SUCCESS"}
    client.send_metadata(client.server.ports["inboundJsonMeta"], '{"speed":"20"}')
    wait_until(lambda: client.ask("getMetadata")["description"] == "Metadata", "the metadata")
    envelope = json.loads(client.data("getMetadata", "Metadata"))
    assert (list(envelope), envelope["data"]) == (["EMS", "data"], {"speed": "20"})
    port = free_port()
    listener = client.data(f"addMetadataListener port={port} ip=127.0.0.1 localStreamName=lobby", "Metadata listener created")
    assert (listener["protocol"], listener["port"], listener["localStreamName"]) == ("inboundJsonMeta", port, "lobby")
    client.send_metadata(port, '{"speed":"30"}')
    wait_until(lambda: client.ask("getMetadata localStreamName=lobby")["description"] == "Metadata", "the listener's metadata")
    (listed,) = client.data("listConfig", "Run-time configuration")["metalistener"]
    client.data(f"removeConfig id={listed['configId']}", "Configuration terminated")
    left = client.data("listMetadataListeners", "Listing all the metadata listeners")["listeners"]
    assert [one["port"] for one in left] == [client.server.ports["inboundJsonMeta"]]


def test_viewers_are_counted(client: Client) -> None:
    """Nobody watches a fresh server."""
    words = "Number of clients connected to Evostream Web Server"
    assert client.data("httpClientsConnected", words) == {"groupName": "", "httpStreamingSessionsCount": 0}
    assert client.data("httpClientsConnected groupName=g1", f"{words} under groupname: g1")["groupName"] == "g1"
    assert client.data("listHttpStreamingSessions", "Currently open HTTP streaming sessions") == []
    assert client.data("clientsConnected", "EMS outbound client connections count") == {"outboundCount": 0}
