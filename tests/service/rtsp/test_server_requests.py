"""Requests and what they are answered with, in every state of a connection."""

import pytest

from ems.protocols.rtsp import wire
from tests.service.rtsp.clients import TCP, URL, World, application, both

SDP = b"v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:streamid=0\r\n"


def test_options(rtsp: World) -> None:
    """Anybody may ask what can be asked for, without a stream and without a session."""
    response = rtsp.client().ask("OPTIONS", "*")
    assert response.status == 200
    assert {"DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "ANNOUNCE", "RECORD"} <= {
        *response.headers.get("Public").split(", ")
    }
    assert {name for name, _ in response.headers.lines} >= {"CSeq", "Date", "Expires", "Cache-Control", "Pragma", "Server"}


def test_a_thousand_options_in_one_piece(rtsp: World) -> None:
    """A client that sends a thousand requests at once gets a thousand responses in order."""
    client = rtsp.client()
    client.send(b"".join(wire.request("OPTIONS", "*", {"CSeq": str(number)}) for number in range(1000)))
    assert [response.headers.get("CSeq") for response in client.responses] == [str(number) for number in range(1000)]


def test_a_conversation_byte_by_byte(rtsp: World) -> None:
    """A client whose bytes come one by one is served like any other."""
    rtsp.stream()
    client = rtsp.client()
    requests = [("OPTIONS", URL, {}), ("DESCRIBE", URL, {}), ("SETUP", f"{URL}/trackID=1", {"Transport": TCP.format(0, 1)})]
    data = b"".join(wire.request(method, url, {"CSeq": str(n), **more}) for n, (method, url, more) in enumerate(requests))
    for index in range(len(data)):
        client.send(data[index : index + 1])
    assert [response.status for response in client.responses] == [200, 200, 200]


def test_description(rtsp: World) -> None:
    """DESCRIBE tells the sound, then the picture, with what a player needs to begin."""
    rtsp.stream()
    response = rtsp.client().ask("DESCRIBE")
    assert response.headers.get("Content-Type") == "application/sdp"
    assert response.headers.get("Content-Base") == URL + "/"
    lines = response.body.decode().splitlines()
    assert [line for line in lines if line.startswith("m=")] == ["m=audio 0 RTP/AVP 96", "m=video 0 RTP/AVP 97"]
    assert {"s=cam", "t=0 0", "a=range:npt=now-", "a=control:trackID=1", "a=control:trackID=2"} <= {*lines}
    assert any(line.startswith("a=fmtp:97 ") and "sprop-parameter-sets=" in line for line in lines)


def test_description_as_transport_stream(rtsp: World) -> None:
    """Behind /ts/ there is one medium of payload type 33, in any case of the prefix."""
    rtsp.stream()
    for url in ("rtsp://h/ts/cam", "rtsp://h/TS/cam", "rtsp://h/cam?forceTs"):
        lines = rtsp.client().ask("DESCRIBE", url).body.decode().splitlines()
        assert [line for line in lines if line.startswith("m=")] == ["m=video 0 RTP/AVP 33"]


def test_description_waits_for_tracks(rtsp: World) -> None:
    """A stream that has just come is described as soon as it tells its tracks; requests behind wait their turn."""
    stream = rtsp.server.streams.register("cam", type_tag="INEXT", source=None)
    client = rtsp.client()
    assert client.say("DESCRIBE") is None
    assert client.say("OPTIONS") is None
    stream.set_tracks((both(0, 1)[0].track,))
    rtsp.pass_time(0.1)
    assert [response.status for response in client.responses] == [200, 200]


def test_description_does_not_wait_for_ever(rtsp: World) -> None:
    """A stream that never tells its tracks is not found."""
    rtsp.server.streams.register("cam", type_tag="INEXT", source=None)
    client = rtsp.client()
    assert client.say("DESCRIBE") is None
    rtsp.pass_time(6)
    assert [response.status for response in client.responses] == [404]


def test_a_client_leaves_while_it_waits(rtsp: World) -> None:
    """Who hangs up while DESCRIBE waits leaves nothing behind."""
    rtsp.server.streams.register("cam", type_tag="INEXT", source=None)
    client = rtsp.client()
    assert client.say("DESCRIBE") is None
    client.peer.hang_up()
    rtsp.pass_time(6)
    assert client.responses == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (("DESCRIBE", "rtsp://h/nobody"), 404),
        (("DESCRIBE", "rtsp://h/vod/film.mp4"), 404),
        (("DESCRIBE", "rtsp://h/vodts/../film.mp4"), 404),
        (("DESCRIBE", "rtsp://h/door.vod"), 404),
        (("DESCRIBE", "http://h/cam"), 400),
        (("DESCRIBE", URL, {"Accept": "text/html"}), 406),
        (("DESCRIBE", URL, {"Require": "onvif-replay"}), 551),
        (("DESCRIBE", URL, {"CSeq": "x"}), 400),
        (("REDIRECT", URL), 501),
        (("PLAY", URL), 455),
        (("PAUSE", URL), 455),
        (("RECORD", URL), 455),
        (("TEARDOWN", URL), 454),
        (("PLAY", URL, {"Session": "abc"}), 454),
        (("OPTIONS", URL, {"Session": "abc"}), 454),
        (("SETUP", f"{URL}/trackID=1"), 400),
        (("SETUP", f"{URL}/trackID=3", {"Transport": TCP.format(0, 1)}), 404),
        (("SETUP", URL, {"Transport": TCP.format(0, 1)}), 459),
        (("SETUP", f"{URL}/trackID=1", {"Transport": "RTP/SAVP;unicast"}), 461),
        (("SETUP", f"{URL}/trackID=1", {"Transport": "RTP/AVP;unicast"}), 461),
        (("SETUP", f"{URL}/trackID=1", {"Transport": "RTP/AVP;unicast;client_port=0-1"}), 461),
        (("SETUP", f"{URL}/trackID=1", {"Transport": "RTP/AVP;unicast;client_port=53-54"}), 461),
        (("SETUP", f"{URL}/trackID=1", {"Transport": "RTP/AVP;multicast"}), 461),
        (("SETUP", f"{URL}/trackID=1", {"Transport": "RAW/RAW/UDP;unicast;client_port=5000-5001"}), 461),
        (("SETUP", f"{URL}/trackID=1", {"Transport": "RTP/AVP;unicast;destination=192.0.2.1;client_port=5000-5001"}), 461),
        (("SETUP", f"{URL}/trackID=1", {"Transport": "RTP/AVP/TCP;unicast;mode=record"}), 455),
        (("SETUP", "rtsp://h/cam?forceTcp/trackID=1", {"Transport": "RTP/AVP;unicast;client_port=5000-5001"}), 461),
        (("ANNOUNCE", "rtsp://h/new", {"Content-Type": "text/plain"}), 415),
        (("ANNOUNCE", "rtsp://h/new", {"Content-Type": "application/sdp"}), 400),
        (("GET_PARAMETER", URL), 200),
        (("SET_PARAMETER", URL), 200),
    ],
)
def test_status(rtsp: World, request_: tuple[object, ...], status: int) -> None:
    """What cannot be done is told by the status that the standard has for it, and the connection goes on."""
    rtsp.stream()
    client = rtsp.client()
    method, url, *more = request_
    headers = more[0] if more else {}
    assert isinstance(headers, dict)
    client.send(wire.request(str(method), str(url), {"CSeq": "1", **headers}))
    assert [response.status for response in client.responses] == [status]
    assert client.status("OPTIONS") == 200
    assert not rtsp.server.streams.outbound


@pytest.mark.parametrize(
    "data",
    [b"hello\r\n", b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: -1\r\n\r\n", b"X" * 3000, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"],
)
def test_malformed(rtsp: World, data: bytes) -> None:
    """What is no RTSP is answered with 400, and the connection closes."""
    client = rtsp.client()
    client.send(data)
    rtsp.pass_time(0.1)
    assert [response.status for response in client.responses] == [400]
    assert not client.connected


def test_two_sequence_numbers(rtsp: World) -> None:
    """A request with two CSeq, or none, is malformed."""
    client = rtsp.client()
    client.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nCSeq: 2\r\n\r\nOPTIONS * RTSP/1.0\r\n\r\n")
    assert [response.status for response in client.responses] == [400, 400]


def test_another_version(rtsp: World) -> None:
    """RTSP 2.0 is not spoken."""
    client = rtsp.client()
    client.send(b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n")
    assert client.responses[0].status == 505


def test_announcing_in_vain(rtsp: World) -> None:
    """What cannot be read is refused with 415, a taken name with 403, a second ANNOUNCE with 455."""
    rtsp.stream()
    client = rtsp.client()
    kind = {"Content_Type": "application/sdp"}
    unreadable = SDP.replace(b"H264", b"THEORA")
    assert client.status("ANNOUNCE", "rtsp://h/new", unreadable, **kind) == 415
    assert client.status("ANNOUNCE", "rtsp://h/cam", SDP, **kind) == 403
    assert client.status("ANNOUNCE", "rtsp://h/new", SDP, **kind) == 200
    assert client.status("ANNOUNCE", "rtsp://h/new", SDP, **kind) == 455
    assert client.status("SETUP", "rtsp://h/new/streamid=1", Transport=TCP.format(0, 1)) == 404
    assert client.status("SETUP", "rtsp://h/new/streamid=0", Transport=TCP.format(0, 1) + ";mode=record") == 200
    assert client.status("PLAY", "rtsp://h/new") == 455
    assert client.status("PAUSE", "rtsp://h/new") == 455


def test_a_session_belongs_to_its_connection(rtsp: World) -> None:
    """Nobody can end, pause or take over the session of somebody else, even by knowing its id."""
    rtsp.stream()
    victim, thief = rtsp.client(), rtsp.client()
    victim.play()
    thief.session = victim.session
    assert [thief.status(method) for method in ("TEARDOWN", "PAUSE", "PLAY", "GET_PARAMETER")] == [454] * 4
    assert thief.status("SETUP", f"{URL}/trackID=1", Transport=TCP.format(0, 1)) == 454
    assert victim.status("GET_PARAMETER") == 200
    assert len(rtsp.server.streams.outbound) == 1


def test_a_request_without_its_session(rtsp: World) -> None:
    """Once there is a session, what is done with it has to name it."""
    rtsp.stream()
    client = rtsp.client()
    client.set_up()
    client.session = ""
    assert client.status("PLAY", Session="") == 454


def test_silence(rtsp: World) -> None:
    """Who never asks anything is turned out after 20 s; who has asked and set up, after the session's time."""
    rtsp.stream()
    silent, slow = rtsp.client(), rtsp.client()
    slow.set_up()
    rtsp.pass_time(22)
    assert not silent.connected
    assert slow.connected
    rtsp.pass_time(60)
    assert not slow.connected


def test_used_up_alias() -> None:
    """An alias for one viewer is used up by DESCRIBE, and then is good for the whole conversation, but for nobody else."""
    rtsp = World(application(has_stream_aliases=True))
    rtsp.stream()
    rtsp.server.aliases.add("ticket", "cam", -600)
    holder, other = rtsp.client(), rtsp.client()
    url = "rtsp://h/ticket"
    assert holder.status("DESCRIBE", "rtsp://h/cam") == 404
    assert holder.status("DESCRIBE", url) == 200
    assert other.status("DESCRIBE", url) == 404
    holder.play(url)
    assert holder.packets(0)


def test_ingest_point() -> None:
    """With ingest points only a private name can be announced, and the stream has the public one."""
    rtsp = World(application(has_ingest_points=True))
    client = rtsp.client()
    kind = {"Content_Type": "application/sdp"}
    assert client.status("ANNOUNCE", "rtsp://h/secret", SDP, **kind) == 403
    rtsp.server.ingest_points._add("secret", "public")
    assert client.status("ANNOUNCE", "rtsp://h/secret", SDP, **kind) == 200
    assert client.status("SETUP", "rtsp://h/secret/streamid=0", Transport=TCP.format(0, 1)) == 200
    assert client.status("RECORD", "rtsp://h/secret") == 200
    assert list(rtsp.server.streams.inbound) == ["public"]
