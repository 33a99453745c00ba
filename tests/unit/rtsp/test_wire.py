"""RTSP on the wire: whatever is cut wherever, messages and frames come out whole, and what is none is refused early."""

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.errors import LocalProtocolError, RemoteProtocolError
from ems.protocols.rtsp import wire
from ems.protocols.rtsp.address import parse_address, published_name
from ems.protocols.rtsp.transport import parse_transports
from ems.protocols.rtsp.tunnel import Base64Reader
from ems.protocols.rtsp.wire import Headers, Interleaved, Request, Response, Wire
from tests.unit.media.mutation import mutated

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

CONVERSATION = (
    b"\r\n"
    b"SETUP rtsp://h/cam/trackID=1 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;\r\n interleaved=0-1\r\n\r\n"
    b"$\1\0\3abc"
    b"RTSP/1.0 200 OK\nCSeq: 7\nContent-Length: 4\n\nbody"
    b"$\xff\0\0"
    b"ANNOUNCE * RTSP/1.0\r\ncontent-length: 2\r\nCSeq:2\r\n\r\nok"
)

EVENTS = [
    Request("SETUP", "rtsp://h/cam/trackID=1", Headers([("CSeq", "1"), ("Transport", "RTP/AVP/TCP;unicast; interleaved=0-1")])),
    Interleaved(1, b"abc"),
    Response(200, "OK", Headers([("CSeq", "7"), ("Content-Length", "4")]), b"body"),
    Interleaved(255, b""),
    Request("ANNOUNCE", "*", Headers([("content-length", "2"), ("CSeq", "2")]), b"ok"),
]


def test_cut_at_each_byte() -> None:
    """A conversation cut in two at any place is the same conversation."""
    for cut in range(len(CONVERSATION) + 1):
        reader = Wire()
        assert [*reader.receive(CONVERSATION[:cut]), *reader.receive(CONVERSATION[cut:])] == EVENTS


def test_byte_by_byte() -> None:
    """A conversation that comes in single bytes is the same conversation."""
    reader = Wire()
    assert [event for index in range(len(CONVERSATION)) for event in reader.receive(CONVERSATION[index : index + 1])] == EVENTS


def test_a_thousand_requests_at_once() -> None:
    """A client may send a thousand requests before it reads an answer."""
    data = b"".join(wire.request("OPTIONS", "*", {"CSeq": str(number)}) for number in range(1000))
    assert [event.headers.get("cseq") for event in Wire().receive(data) if isinstance(event, Request)] == [
        str(number) for number in range(1000)
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"GET /\r\n",
        b"PLAY rtsp://h/x RTSP/1.0 more\r\n",
        b"RTSP/1.0 abc Bad\r\n",
        b"RTSP/1.0 2000 Bad\r\n\r\n",
        b"\x80\x60\0\1\r\n",
        b"P\0LAY rtsp://h/ RTSP/1.0\r\n",
        b"PL AY\r\n\r\n",
        b"PLAY rtsp://h/ RTSP/1.0\r\nno colon\r\n\r\n",
        b"PLAY rtsp://h/ RTSP/1.0\r\n: no name\r\n\r\n",
        b"PLAY rtsp://h/ RTSP/1.0\r\nCSeq : 1\r\n\r\n",
        b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
        b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: 2147483648\r\n\r\n",
        b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: 131073\r\n\r\n",
        b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: ٣\r\n\r\n".encode(),
        b"PLAY rtsp://h/ RTSP/1.0\r\n" + b"A: b\r\n" * 256 + b"\r\n",
        b"PLAY rtsp://h/" + b"x" * 2048,
        b"PLAY rtsp://h/ RTSP/1.0\r\nA: " + b"x" * 2048,
        b"PLAY rtsp://h/ RTSP/1.0\r\n" + (b"A: " + b"x" * 2000 + b"\r\n") * 40,
    ],
)
def test_refused(data: bytes) -> None:
    """What is no RTSP, or passes a limit, is refused as soon as that can be seen."""
    with pytest.raises(RemoteProtocolError):
        list(Wire().receive(data))


def test_http_ends_the_reading() -> None:
    """What follows a message of HTTP belongs to the tunnel that it opens, and can be had while the message is being read."""
    reader = Wire()
    events = reader.receive(b"POST /cam HTTP/1.0\r\nContent-Length: 32767\r\n\r\nT1BU")
    request = next(events)
    assert isinstance(request, Request)
    assert (request.method, request.version, request.body) == ("POST", "HTTP/1.0", b"")
    assert reader.rest() == b"T1BU"
    assert list(events) == []


def test_no_header_becomes_two() -> None:
    """We never send a header with a line break in it, whatever a client has made us quote."""
    with pytest.raises(LocalProtocolError):
        wire.response(200, {"Session": "a\r\nX: y"})


def test_an_address_with_spaces_stays_one_word() -> None:
    """A camera that writes spaces into the addresses of its media is asked for them in a request that it can read."""
    data = wire.request("SETUP", "rtsp://h/front door/track\t1\x7f", {"CSeq": "1"})
    assert [*Wire().receive(data)] == [Request("SETUP", "rtsp://h/front%20door/track%091%7F", Headers([("CSeq", "1")]))]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_anything(data: bytes, at: int) -> None:
    """Nothing that comes raises anything but a protocol error."""
    mixed = CONVERSATION[:at] + data + CONVERSATION[at:]
    try:
        list(Wire().receive(mixed))
    except RemoteProtocolError:
        return


def test_damaged_conversations() -> None:
    """A conversation damaged anywhere is read up to the damage, or on behind it, and gives nothing that was not sent."""
    chance, found = random.Random(21), 0
    for damaged in mutated([CONVERSATION, CONVERSATION * 5], MUTATIONS):
        reader, cut = Wire(), chance.randrange(len(damaged) + 1)
        try:
            for event in (*reader.receive(damaged[:cut]), *reader.receive(damaged[cut:])):
                found += 1
                assert len(event.data if isinstance(event, Interleaved) else event.body) < len(damaged)
        except RemoteProtocolError:
            continue
    assert found > MUTATIONS


def test_damaged_headers() -> None:
    """Addresses, transports and the text of a tunnel that are damaged are understood or refused, and lie about no number."""
    headers = [
        b'RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=0A0B0C0D;mode="PLAY", RTP/AVP;multicast;destination=239.5.5.1;port=7-8;ttl=9',
        b"rtsp://u:p@[::1]:5544/ts/live/cam%20one?forceTcp&x=1/trackID=2",
        b"T1BUSU9OUyAqIFJUU1AvMS4wDQo=Q1NlcTogMQ0KDQo=",
    ]
    for damaged in mutated(headers, MUTATIONS):
        text = damaged.decode("utf-8", "replace")
        for transport in parse_transports(text):
            assert all(0 <= number < 65_536 for pair in (transport.client_port, transport.port) if pair for number in pair)
            assert all(0 <= channel < 256 for channel in transport.interleaved or ())
        for read in (parse_address, published_name, lambda text: Base64Reader().receive(text.encode())):
            try:
                read(text)
            except RemoteProtocolError:
                continue
