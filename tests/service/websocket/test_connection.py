"""What every WebSocket acceptor does: the handshake, messages, control frames, and the end."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from ems.config import AcceptorConfig, Application
from ems.config.features import Authentication, WsAuthentication
from ems.errors import RemoteProtocolError
from ems.protocols.websocket.connection import Refused, WebSocketConnection, WebSocketFactory
from ems.protocols.websocket.wire import CloseCode, Opcode, frame_header, text_frame
from ems.server import Server
from ems.testing import MemoryPeer, testing_server
from tests.service.websocket.raw import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawClient,
    close_frame,
    frame,
    request,
)


class Echo(WebSocketConnection):
    """Says everything back; knows every address but /unknown; the text "fail" is against its rules."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.asked: tuple[str, dict[str, str]] = ("", {})
        self.ended: list[str] = []

    def requested(self, path: str, query: Mapping[str, str]) -> None:
        self.asked = (path, dict(query))
        if path == "unknown":
            raise Refused(HTTPStatus.NOT_FOUND, "there is no unknown")
        if path == "bug":
            raise ZeroDivisionError

    def text(self, text: str) -> None:
        if text == "fail":
            raise RemoteProtocolError("against the rules")
        self.send_text(text)

    def binary(self, data: bytes) -> None:
        self.send_frame(frame_header(Opcode.BINARY, len(data)) + data)

    def end_streams(self, reason: str) -> None:
        self.ended.append(reason)


class EchoProtocol:
    """The acceptor protocol of it."""

    protocol = "echo"
    tags = ("TCP", "IWS")

    def make_factory(self, server: Server, config: AcceptorConfig) -> WebSocketFactory:
        return WebSocketFactory(server, lambda: Echo(server))


def make_server(application: Application | None = None) -> Server:
    """A server with the acceptor protocol ``echo``."""
    settings: dict[str, Any] = {"application": application} if application is not None else {}
    return testing_server(Clock(), protocols={"echo": EchoProtocol()}, **settings)


@pytest.fixture
def server(log_events: list[LogEvent]) -> Iterator[Server]:
    """A server; after the test nothing is connected, and nothing has gone wrong inside."""
    made = make_server()
    yield made
    for connection in [*made.connections]:
        connection.transport.abortConnection()  # type: ignore[attr-defined]
    made.clock.advance(0)
    assert len(made.connections) == 0
    assert [event for event in log_events if "log_failure" in event] == []


def pass_time(server: Server, seconds: int) -> None:
    """Let so many seconds go by."""
    for _ in range(seconds):
        server.clock.advance(1)


def server_end(client: RawClient) -> Echo:
    """The server's connection to a client."""
    protocol = client.peer.protocol
    assert isinstance(protocol, Echo)
    return protocol


def test_the_handshake(server: Server) -> None:
    """A browser gets the answer of RFC 6455, may come from any site, and no extension."""
    client = RawClient(server, "echo", None)
    client.send(request("/", {"Origin": "https://player.example", "Sec-WebSocket-Extensions": "permessage-deflate"}))
    lines = client.take().decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert f"Sec-WebSocket-Accept: {ACCEPT}" in lines
    assert "Access-Control-Allow-Origin: *" in lines
    assert "Upgrade: WebSocket" in lines
    assert not any(line.startswith("Sec-WebSocket-Extensions") for line in lines)


@pytest.mark.parametrize("origin", ["null", "file://", "https://a.example:444", "app://x"])
def test_pages_of_any_origin_may_connect(server: Server, origin: str) -> None:
    """Players on other sites, in files and in apps are let in."""
    client = RawClient(server, "echo", None)
    client.send(request("/", {"Origin": origin}))
    assert client.take().startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "", {}),
        ("/lobby", "lobby", {}),
        ("/a%20b%2Fc/d", "a b/c/d", {}),
        ("/caf%C3%A9", "café", {}),
        ("/lobby?progressive&x=1%262", "lobby", {"progressive": "", "x": "1&2"}),
        ("ws://example.org:8210/lobby?fullMp4", "lobby", {"fullMp4": ""}),
        ("//lobby", "", {}),
    ],
)
def test_the_address_is_decoded(server: Server, target: str, path: str, query: dict[str, str]) -> None:
    """Names with blanks and umlauts work, and so do parameters without a value."""
    client = RawClient(server, "echo", target)
    assert server_end(client).asked == (path, query)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("/unknown"), "404 Not Found"),
        (request("/%ff"), "400 Bad Request"),
        (request("/?" + "&".join(f"a{i}=1" for i in range(100))), "400 Bad Request"),
        (request("/", {"Upgrade": ""}), "426 Upgrade Required"),
        (request("/", {"Sec-WebSocket-Version": "8"}), "400 Bad Request"),
        (request("/", {"Sec-WebSocket-Key": "x"}), "400 Bad Request"),
        (request("/", {"Host": ""}), "400 Bad Request"),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed"),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"),
        (b"\x16\x03\x01\x02\r\n\r\n", "400 Bad Request"),
        (request("/", {"X": "x" * (17 << 10)}).removesuffix(b"\r\n"), "431 Request Header Fields Too Large"),
    ],
)
def test_refused_handshakes(server: Server, log_events: list[LogEvent], sent: bytes, status: str) -> None:
    """Who asks for what is not there, or does not speak WebSocket, gets an empty answer that says so, and one log line."""
    client = RawClient(server, "echo", None)
    client.send(sent)
    head, _, body = client.take().decode().partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}\r\n")
    assert "Content-Length: 0" in head.split("\r\n")
    assert (body, client.connected) == ("", False)
    assert len([event for event in log_events if "closed: {reason}" in (event.get("log_format") or "")]) == 1


def test_our_own_mistake_is_logged(log_events: list[LogEvent]) -> None:
    """A request that we cannot answer gets 500; the log has the traceback."""
    client = RawClient(make_server(), "echo", None)
    client.send(request("/bug"))
    assert client.take().startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert [event["log_failure"].type for event in log_events if "log_failure" in event] == [ZeroDivisionError]


def test_a_version_that_is_not_spoken_is_told_the_right_one(server: Server) -> None:
    """RFC 6455 §4.4."""
    client = RawClient(server, "echo", None)
    client.send(request("/", {"Sec-WebSocket-Version": "8"}))
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in client.take()


@pytest.mark.parametrize(
    ("query", "accepted"), [("?token=s3cret", True), ("?token=wrong", False), ("", False), ("?token=", False)]
)
def test_a_token_can_be_demanded(query: str, accepted: bool) -> None:
    """With authentication.ws.token only addresses that carry it are answered; the rest gets 403."""
    authentication = Authentication(ws=WsAuthentication(token="s3cret"))
    server = make_server(Application(name="ems", authentication=authentication))
    client = RawClient(server, "echo", None)
    client.send(request(f"/lobby{query}"))
    assert client.take().startswith(b"HTTP/1.1 101 " if accepted else b"HTTP/1.1 403 Forbidden\r\n")
    assert server_end(client).asked == (("lobby", {}) if accepted else ("", {}))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_messages_of_every_size(size: int) -> None:
    """The three forms of a length are read and written."""
    client = RawClient(make_server(), "echo")
    client.send(frame(BINARY, bytes(size)))
    if size <= 64 << 10:
        assert client.frames() == [(BINARY, bytes(size))]


def test_text_frames_are_shared_bytes() -> None:
    """A frame that is made once is the same as one that is sent."""
    assert text_frame("ä") == b"\x81\x02\xc3\xa4"
    assert frame_header(Opcode.BINARY, 126) == b"\x82\x7e\x00\x7e"
    assert frame_header(Opcode.BINARY, 1 << 16) == b"\x82\x7f" + (1 << 16).to_bytes(8, "big")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=300), max_size=4), st.integers(1, 400), st.integers(1, 90))
def test_the_same_bytes_cut_anywhere(messages: list[str], size: int, piece: int) -> None:
    """However packets are cut, and messages are fragmented, the same messages arrive."""
    client = RawClient(make_server(), "echo")
    data = b""
    for message in messages:
        encoded = message.encode()
        parts = [encoded[start : start + piece] for start in range(0, len(encoded), piece)] or [b""]
        for index, part in enumerate(parts):
            data += frame(CONTINUATION if index else TEXT, part, final=index == len(parts) - 1)
    client.send(*(data[start : start + size] for start in range(0, len(data), size)))
    assert client.texts() == messages


def test_control_frames_between_fragments(server: Server) -> None:
    """A ping inside a message is answered at once, with its payload."""
    client = RawClient(server, "echo")
    client.send(frame(TEXT, b"he", final=False), frame(PING, b"now"), frame(CONTINUATION, b"llo"))
    assert client.frames() == [(PONG, b"now"), (TEXT, b"hello")]


def test_data_behind_the_request_counts(server: Server) -> None:
    """A client that does not wait for our answer loses nothing."""
    client = RawClient(server, "echo", None)
    client.send(request() + frame(TEXT, b"early"))
    assert client.take().endswith(text_frame("early"))


def test_the_client_closes(server: Server, log_events: list[LogEvent]) -> None:
    """A close frame is answered with one, and the connection ends; the log has its code and reason."""
    client = RawClient(server, "echo")
    client.send(close_frame(1000, "bye"))
    assert client.frames() == [(CLOSE, (1000).to_bytes(2, "big"))]
    assert not client.connected
    assert server_end(client).ended == ["the client has closed it (1000 bye)"]


def test_closing_twice_is_no_matter(server: Server) -> None:
    """Whatever follows a close frame is not looked at."""
    client = RawClient(server, "echo")
    client.send(close_frame(1000) + close_frame(1001) + frame(TEXT, b"x"))
    assert len(client.frames()) == 1
    assert not client.connected


@pytest.mark.parametrize(("code", "answer"), [(1005, 1002), (999, 1002), (1016, 1002), (3999, 1000)])
def test_close_codes_are_checked(server: Server, code: int, answer: int) -> None:
    """Codes that must not be sent are answered with a protocol error."""
    client = RawClient(server, "echo")
    client.send(close_frame(code))
    assert client.closed_with()[0] == answer


def test_the_server_closes(server: Server) -> None:
    """I am told the code and the reason, cut to what fits; nothing follows; then the connection ends."""
    client = RawClient(server, "echo")
    echo = server_end(client)
    echo.close_websocket(CloseCode.TRY_AGAIN_LATER, "ä" * 100)
    echo.send_text("too late")
    echo.close_websocket(CloseCode.NORMAL)
    assert client.closed_with() == (1013, "ä" * 61)
    assert client.connected
    client.send(close_frame(1013))
    assert not client.connected
    assert echo.ended == ["ä" * 61]


def test_a_client_that_does_not_answer_our_close_is_cut_off(server: Server) -> None:
    """Five seconds, and it is gone."""
    client = RawClient(server, "echo")
    server_end(client).close("the server stops")
    assert client.closed_with() == (1001, "the server stops")
    pass_time(server, 4)
    assert client.connected
    pass_time(server, 2)
    assert not client.connected


def test_against_the_rules(server: Server) -> None:
    """A message that a protocol does not take ends the connection with the reason."""
    client = RawClient(server, "echo")
    client.send(frame(TEXT, b"fail"), frame(TEXT, b"more"))
    assert client.closed_with() == (1007, "against the rules")


@pytest.mark.parametrize("sent", [b"", b"GET", request()[:-2], request()[:-1]])
def test_the_handshake_has_5_seconds(server: Server, sent: bytes) -> None:
    """Silence, and half a request, end after 5 s."""
    client = RawClient(server, "echo", None)
    client.send(sent)
    pass_time(server, 4)
    assert client.connected
    pass_time(server, 2)
    assert not client.connected


def test_a_silent_client_is_asked_and_given_up(server: Server) -> None:
    """Pings come after 20 s of silence; who answers them stays, who does not is gone after 50 s."""
    silent, alive = RawClient(server, "echo"), RawClient(server, "echo")
    for _ in range(130):
        pass_time(server, 1)
        for opcode, payload in alive.frames():
            assert opcode == PING
            alive.send(frame(PONG, payload))
    assert alive.connected
    assert not silent.connected
    assert [opcode for opcode, _ in silent.frames()] == [PING, PING, CLOSE]


def test_a_client_that_does_not_read_is_closed(server: Server) -> None:
    """A megabyte waits for a client; then it is given up, and its memory is free."""
    client = RawClient(server, "echo")
    client.peer.transport.hold()
    for _ in range(40):
        client.send(frame(BINARY, bytes(60_000)))
    assert client.peer.transport.held_bytes < 1_200_000
    assert server_end(client).closing
    pass_time(server, 6)
    assert not client.connected


def test_a_lost_connection_ends_its_streams(server: Server) -> None:
    """A client that just goes leaves nothing behind."""
    client = RawClient(server, "echo")
    client.peer.hang_up()
    assert not client.connected
    assert server_end(client).ended == ["the connection is lost"]


def test_connections_are_small() -> None:
    """Thousands of idle clients fit: what a connection keeps is a few kilobytes."""
    import tracemalloc

    server = make_server()
    RawClient(server, "echo")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    peers = []
    for _ in range(100):
        peer = MemoryPeer(server, "echo")
        peer.send(request())
        peers.append(peer)
    grown = (tracemalloc.get_traced_memory()[0] - before) / 100
    tracemalloc.stop()
    assert grown < 12_000
