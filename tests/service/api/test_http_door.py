"""The HTTP door: the original's form, the modern form, and requests that must be refused."""

import base64
import json

import pytest
from pytest_twisted import ensureDeferred

from ems.api.http import parse_query
from ems.api.json_body import MAX_BODY
from ems.errors import CommandError
from tests.service.api.doors import Bench, call, fetch, post


@pytest.fixture
def port(bench: Bench) -> int:
    """The HTTP door's port."""
    return bench.open(
        "inboundHttpJsonCli", extra={"allowedHosts": ["media.example"], "allowedOrigins": "https://console.example"}
    )


def head(port: int, target: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without body."""
    lines = [f"{method} {target} HTTP/{version}", *(headers or (f"Host: 127.0.0.1:{port}",))]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "target", ["/version", "/version?params=", "/version?", "/any/where/VERSION", "/version?x=&a=", "/%76ersion"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
@ensureDeferred
async def test_the_form_of_older_clients(port: int, target: str, method: str) -> None:
    """GET and POST with nothing or an empty query answer as text, and the connection closes."""
    status, headers, body = await fetch(port, head(port, target, method=method))
    assert (status, headers["content-type"], headers["connection"]) == (200, "text/plain", "close")
    assert int(headers["content-length"]) == len(body)
    assert body.endswith(b"}\r\n\r\n")
    assert json.loads(body)["description"] == "Version"


@pytest.mark.parametrize(
    "query",
    [
        "?params=aWQ9Nw==",
        "?whatever=aWQ9Nw==",
        "?params=aWQ9Nw%3D%3D",
        "?b=x&a=aWQ9Nw==",
        "%3fparams=aWQ9Nw==",
        "%3Fparams=aWQ9Nw==",
    ],
)
@ensureDeferred
async def test_parameters_are_base64(port: int, query: str) -> None:
    """The value of the first query parameter by name is decoded, also when a library has percent-encoded it."""
    status, _, body = await fetch(port, head(port, f"/getStreamInfo{query}"))
    assert status == 200
    assert json.loads(body) == {"data": None, "description": "Stream 0:7 not found", "status": "FAIL"}


def test_base64_with_every_character() -> None:
    """Plus and slash mean themselves, and escapes of the request text work inside."""
    source = "name=\\ é~~?>>\\,x commandId=ÿ>?"
    encoded = base64.b64encode(source.encode())
    assert b"+" in encoded or b"/" in encoded
    request = parse_query("c", b"params=" + encoded)
    assert (request.parameters, request.command_id) == ({"name": "é~~?>>,x"}, "ÿ>?")


@pytest.mark.parametrize("garbage", ["aWQ9Nw", "****", "aWQ9Nw==%00", "%", "=", "a", "A" * 8001])
@ensureDeferred
async def test_garbage_for_base64(port: int, garbage: str) -> None:
    """What cannot be decoded fails in words, still with status 200."""
    status, _, body = await fetch(port, head(port, f"/getStreamInfo?params={garbage}"))
    assert status == 200
    assert json.loads(body)["description"] == "Syntax error. Parameter params is invalid. Expected base64"


def test_binary_in_base64() -> None:
    """Decoded rubbish is a request of rubbish."""
    parse_query("c", b"p=" + base64.b64encode(bytes(range(256))))
    with pytest.raises(CommandError):
        parse_query("c", b"p=\xff\xfe")


@ensureDeferred
async def test_http_1_0(port: int) -> None:
    """An old client without Host header is served."""
    status, _, _ = await fetch(port, head(port, "/version", "X: y", version="1.0"))
    assert status == 200


@ensureDeferred
async def test_the_modern_form(port: int) -> None:
    """JSON in, JSON out, with a status that says how it went."""
    status, reply = await post(port, "/getStreamInfo", b'{"id": 7, "commandId": "k"}')
    assert (status, reply["description"], reply["responseId"]) == (400, "Stream 0:7 not found", "k")
    status, reply = await post(port, "/listStreams", b"{}")
    assert (status, reply) == (200, {"data": [], "description": "Available streams", "status": "SUCCESS"})
    status, reply = await post(port, "/isStreamRunning", '{"localStreamName": "Ä, b=c"}'.encode())
    assert (status, reply["data"]) == (200, {"Running": False})
    status, reply = await post(port, "/noSuch", b"[")
    assert (status, reply["status"]) == (404, "FAIL")
    status, reply = await post(port, "/version", b"", "Content-Type: application/json; charset=utf-8\r\n")
    assert (status, reply["description"]) == (200, "Version")


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": {"x": 1}}',
        b'{"id": NaN}',
        b'{"id": 5, "id": 6}',
        b'{"id": ' + b"9" * 30 + b"}",
        b'{"id": 5.5}',
        b'{"id": [5]}',
        b'{"id": "\\ud800"}',
        b"[" * 60_000,
        b"\xff",
        b"id=5",
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
@ensureDeferred
async def test_a_bad_body(port: int, body: bytes) -> None:
    """Whatever is wrong with a body is told with status 400."""
    status, reply = await post(port, "/getStreamInfo", body)
    assert (status, reply["status"], reply["data"]) == (400, "FAIL", None)


@ensureDeferred
async def test_a_body_that_is_too_long(port: int) -> None:
    """A megabyte of nesting is not even parsed, and a body without end is cut off."""
    nested = (b"[" * 100_000).ljust(1 << 20, b" ")
    status, reply = await post(port, "/getStreamInfo", nested)
    assert (status, reply["description"]) == (413, f"The body is longer than {MAX_BODY} bytes")
    caller = await call(port)
    caller.send(f"POST /version HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    caller.send((b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 200)
    assert await caller.gone() == b""


@ensureDeferred
async def test_the_list_of_commands(port: int) -> None:
    """GET / describes every command as OpenAPI."""
    status, headers, body = await fetch(port, head(port, "/"))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert len(json.loads(body)["paths"]) >= 80


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "BREW"])
@ensureDeferred
async def test_other_methods(port: int, method: str) -> None:
    """Anything but GET and POST is refused, preflight requests of browsers among them."""
    status, headers, _ = await fetch(port, head(port, "/version", method=method))
    assert (status, headers["allow"]) == (405, "GET, POST")
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (("Host: evil.example:{port}",), 403),
        (("X: no Host",), 400),
        (("Host: localhost", "Host: evil.example"), 400),
        (("Host: localhost:{port}", "Origin: https://evil.example"), 403),
        (("Host: localhost:{port}", "Referer: https://evil.example/x"), 403),
        (("Host: localhost:{port}", "Sec-Fetch-Site: cross-site"), 403),
        (("Host: localhost:{port}", "Origin: http://localhost:{port}", "Sec-Fetch-Site: same-origin"), 200),
        (("Host: media.example",), 200),
        (("Host: localhost:{port}", "Origin: https://console.example", "Sec-Fetch-Site: cross-site"), 200),
    ],
)
@ensureDeferred
async def test_web_pages(port: int, headers: tuple[str, ...], status: int) -> None:
    """No page can command my server through my browser, unless the configuration lists it."""
    sent = [header.format(port=port) for header in headers]
    answered, _, body = await fetch(port, head(port, "/version", *sent))
    assert answered == status
    assert json.loads(body)["status"] == ("SUCCESS" if status == 200 else "FAIL")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
        b"GET /version HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(10_000)) + b"\r\n",
        b"GET /version HTTP/1.1\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 100 + b"\r\n\r\n",
        b"POST /version HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /version HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["long target", "many headers", "long header", "binary", "negative length", "two lengths"],
)
@ensureDeferred
async def test_requests_that_are_no_http(bench: Bench, port: int, request_bytes: bytes) -> None:
    """Endless lines and broken requests end the connection; the door goes on."""
    caller = await call(port)
    caller.send(request_bytes)
    await caller.gone()
    assert b"200 OK" not in caller.received
    status, _, _ = await fetch(port, head(port, "/version"))
    assert status == 200


@ensureDeferred
async def test_a_client_that_leaves_early(bench: Bench, port: int) -> None:
    """Half a request, and a request whose sender is gone, do no harm."""
    for data in (b"GET /ver", head(port, "/help"), b"POST /version HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"):
        caller = await call(port)
        caller.send(data)
        caller.transport.loseConnection()
        await caller.gone()
    status, _, _ = await fetch(port, head(port, "/version"))
    assert status == 200


@ensureDeferred
async def test_a_client_that_closes_its_half(port: int) -> None:
    """A client that sends its request and shuts its half down still gets the reply."""
    caller = await call(port)
    caller.send(head(port, "/version"))
    caller.transport.loseWriteConnection()
    assert b'"Version"' in await caller.gone()


@ensureDeferred
async def test_shutting_the_server_down_over_http(bench: Bench, port: int) -> None:
    """The old form ends the connection without a reply; the modern one answers."""
    _, reply = await post(port, "/shutdownServer", b"{}")
    key = reply["data"]["key"]
    encoded = base64.b64encode(f"key={key}".encode()).decode()
    caller = await call(port)
    caller.send(head(port, f"/shutdownServer?params={encoded}"))
    assert await caller.gone() == b""
    status, _ = await post(port, "/shutdownServer", json.dumps({"key": key}).encode())
    assert status == 200
    assert bench.shut_downs == ["shutdownServer", "shutdownServer"]
