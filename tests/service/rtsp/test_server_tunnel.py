"""RTSP through HTTP: both legs, however base64 is cut, and whoever tries to get between them."""

from base64 import b64encode

import pytest

from ems.errors import RemoteProtocolError
from ems.protocols.rtsp import wire
from ems.protocols.rtsp.tunnel import Base64Reader
from tests.service.rtsp.clients import TCP, URL, Client, World

COOKIE = b"x-sessioncookie: 1234567890123456789012\r\n"
GET = b"GET /cam HTTP/1.0\r\n" + COOKIE + b"Accept: application/x-rtsp-tunnelled\r\n\r\n"
POST = b"POST /cam HTTP/1.0\r\n" + COOKIE + b"Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n\r\n"


def legs(rtsp: World) -> tuple[Client, Client]:
    """A tunnel: the GET leg, whose HTTP answer has been taken off, and the POST leg."""
    get = rtsp.client()
    get.deaf = True
    get.send(GET)
    assert get.raw.startswith(b"HTTP/1.0 200 OK\r\n")
    get.deaf = False
    post = rtsp.client()
    post.send(POST)
    return get, post


def message(method: str, url: str = URL, **headers: str) -> bytes:
    """A request in base64."""
    return b64encode(wire.request(method, url, {"CSeq": "1", **headers}))


def test_play(rtsp: World) -> None:
    """A client behind a proxy plays: requests by POST, responses and media by GET."""
    rtsp.stream()
    get, post = legs(rtsp)
    post.send(message("OPTIONS") + message("DESCRIBE"))
    post.send(message("SETUP", f"{URL}/trackID=2", Transport=TCP.format(0, 1)))
    session = get.responses[-1].headers.get("Session").partition(";")[0]
    post.send(message("PLAY", Session=session))
    rtsp.pass_time(0.2)
    assert [response.status for response in get.responses] == [200] * 4
    assert len(get.packets(0)) >= 5
    assert post.raw == b""


def test_cut_anywhere(rtsp: World) -> None:
    """Base64 may be cut at any place, and have line breaks."""
    get, post = legs(rtsp)
    for byte in message("OPTIONS") + b"\r\n" + message("OPTIONS"):
        post.send(bytes([byte]))
    assert [response.status for response in get.responses] == [200, 200]


def test_another_post(rtsp: World) -> None:
    """A client may close its POST leg and open another."""
    get, post = legs(rtsp)
    post.send(message("OPTIONS"))
    post.peer.hang_up()
    rtsp.pass_time(0.1)
    again = rtsp.client()
    again.send(POST + message("OPTIONS"))
    assert len(get.responses) == 2


@pytest.mark.parametrize("request_", [POST, b"PUT /cam HTTP/1.0\r\n" + COOKIE + b"\r\n", b"GET /cam HTTP/1.0\r\n\r\n"])
def test_no_tunnel(rtsp: World, request_: bytes) -> None:
    """A POST without its GET, another method, and a GET without a cookie are refused in the words of HTTP."""
    client = rtsp.client()
    client.deaf = True
    client.send(request_)
    rtsp.pass_time(0.1)
    assert client.raw.startswith(b"HTTP/1.0 40")
    assert not client.connected


def test_somebody_else(rtsp: World) -> None:
    """A POST leg from another address does not get into a tunnel, and a cookie cannot be taken twice."""
    legs(rtsp)
    for request_, host in ((POST, "192.0.2.66"), (GET, "127.0.0.1")):
        thief = rtsp.client(host)
        thief.deaf = True
        thief.send(request_)
        assert thief.raw.startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize("second", [POST, GET.replace(b"2345", b"5432"), POST.replace(b"2345", b"5432")])
def test_one_leg_each(rtsp: World, second: bytes) -> None:
    """A connection is one leg of one tunnel: what it asks for beyond is refused, as time-outs would not find it."""
    other = rtsp.client()
    other.deaf = True
    other.send(GET.replace(b"2345", b"9999"))
    get = rtsp.client()
    get.deaf = True
    get.send(GET)
    get.send(second.replace(b"5432", b"9999") if second.startswith(b"POST") else second)
    rtsp.pass_time(0.1)
    assert b"HTTP/1.0 400" in get.raw
    assert not get.connected


def test_a_session_is_no_leg(rtsp: World) -> None:
    """Who has set up media in its connection cannot make a tunnel of it."""
    rtsp.stream()
    client = rtsp.client()
    client.set_up()
    client.deaf = True
    client.send(GET)
    rtsp.pass_time(0.1)
    assert b"HTTP/1.0 400" in client.raw
    assert not client.connected


@pytest.mark.parametrize("data", [b"????", b"a===", b"=AAA", b"QQ==!!!!", b64encode(b"nonsense\r\n")])
def test_garbage(rtsp: World, data: bytes) -> None:
    """Garbage in the POST leg closes the tunnel, both legs."""
    get, post = legs(rtsp)
    post.send(data)
    rtsp.pass_time(0.2)
    assert (get.connected, post.connected) == (False, False)


def test_get_alone(rtsp: World) -> None:
    """A GET whose POST never comes is turned out, and its cookie is free again."""
    get = rtsp.client()
    get.deaf = True
    get.send(GET)
    rtsp.pass_time(80)
    assert not get.connected
    legs(rtsp)


def test_hanging_up(rtsp: World) -> None:
    """When the GET leg is gone the POST leg is closed."""
    get, post = legs(rtsp)
    get.peer.hang_up()
    rtsp.pass_time(0.2)
    assert not post.connected


@pytest.mark.parametrize("size", range(1, 9))
def test_base64(size: int) -> None:
    """Padding may be behind any message, and pieces may have any size."""
    messages = [b"a", b"bc", b"def", b"ghij", bytes(range(256))]
    text = b"".join(map(b64encode, messages))
    reader = Base64Reader()
    assert b"".join(reader.receive(text[at : at + size]) for at in range(0, len(text), size)) == b"".join(messages)


def test_no_base64() -> None:
    """What is no base64 is told from it."""
    with pytest.raises(RemoteProtocolError):
        Base64Reader().receive(b"ab*d")
