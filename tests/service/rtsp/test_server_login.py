"""Logging in: who is asked, what is accepted, and what an old or a stolen answer is worth."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

from ems.config.features import Authentication, RtspAuthentication
from tests.service.rtsp.clients import URL, Client, World, application, basic, digest
from tests.service.rtsp.test_server_record import NEW, announce

USERS = (
    'users = {{ ann = "secret", bob = "other" }}\nrealms = {{ {{ name = "cams", method = "{method}", users = {{ "ann" }} }} }}\n'
)


def world(folder: Path, method: str = "Digest", *, play: bool = True) -> World:
    """A server that asks."""
    file = folder / "users.lua"
    file.write_text(USERS.format(method=method))
    settings = RtspAuthentication(users_file=str(file), authenticate_play=play)
    made = World(application(authentication=Authentication(rtsp=settings)))
    made.stream()
    return made


def nonce_of(client: Client) -> str:
    """The nonce of the newest challenge."""
    found = re.search('nonce="([0-9a-f]+)"', client.responses[-1].headers.get("WWW-Authenticate"))
    assert found
    return found[1]


def answered(client: Client, method: str = "DESCRIBE", url: str = URL, user: str = "ann", password: str = "secret") -> str:
    """What a client answers to the newest challenge."""
    return digest(user, password, "cams", nonce_of(client), method, url)


def test_publishers_are_asked(tmp_path: Path) -> None:
    """Publishers have to log in whenever there are users; players only if that is wanted; OPTIONS never."""
    rtsp = world(tmp_path, play=False)
    client = rtsp.client()
    assert client.status("OPTIONS") == 200
    assert client.status("DESCRIBE") == 200
    assert announce(client) == 401


def test_basic(tmp_path: Path) -> None:
    """Basic: name and password of a user of the realm, and once is enough."""
    rtsp = world(tmp_path, "Basic")
    client = rtsp.client()
    assert client.status("DESCRIBE") == 401
    assert client.responses[-1].headers.get("WWW-Authenticate") == 'Basic realm="cams", charset="UTF-8"'
    for wrong in (basic("ann", "x"), basic("bob", "other"), basic("eve", "secret"), "Basic ???", "Basic", "Bearer x"):
        assert client.status("DESCRIBE", Authorization=wrong) == 401
    assert client.status("DESCRIBE", Authorization=basic("ann", "secret")) == 200
    client.play()


def test_digest_md5(tmp_path: Path) -> None:
    """Digest with MD5 and without qop, as old clients do it; SHA-256 is offered first, MD5 last."""
    rtsp = world(tmp_path)
    client = rtsp.client()
    assert client.status("DESCRIBE") == 401
    offers = client.responses[-1].headers.all("WWW-Authenticate")
    assert ['algorithm="SHA-256"' in offers[0], 'algorithm="MD5"' in offers[1]] == [True, True]
    assert client.status("DESCRIBE", Authorization=answered(client)) == 200
    client.play()


def test_digest_sha256(tmp_path: Path) -> None:
    """Digest with SHA-256 and qop, as new clients do it."""
    rtsp = world(tmp_path)
    client = rtsp.client()
    client.status("DESCRIBE")
    nonce = nonce_of(client)

    def hashed(text: str) -> str:
        return sha256(text.encode()).hexdigest()

    answer = hashed(f"{hashed('ann:cams:secret')}:{nonce}:00000001:xyz:auth:{hashed(f'DESCRIBE:{URL}')}")
    header = (
        f'Digest username="ann", realm="cams", nonce="{nonce}", uri="{URL}", algorithm=SHA-256, qop=auth, nc=00000001, '
        f'cnonce="xyz", response="{answer}"'
    )
    assert client.status("DESCRIBE", Authorization=header) == 200


@pytest.mark.parametrize(("user", "password"), [("ann", "wrong"), ("bob", "other"), ("", ""), ("eve", "secret")])
def test_wrong(tmp_path: Path, user: str, password: str) -> None:
    """A wrong password, and somebody who does not belong to the realm, are challenged anew."""
    client = world(tmp_path).client()
    client.status("DESCRIBE")
    before = nonce_of(client)
    assert client.status("DESCRIBE", Authorization=answered(client, user=user, password=password)) == 401
    assert nonce_of(client) != before


def test_an_answer_is_for_one_address_and_method(tmp_path: Path) -> None:
    """An answer that was made for another address or method is none."""
    client = world(tmp_path).client()
    client.status("DESCRIBE")
    assert client.status("DESCRIBE", Authorization=answered(client, url="rtsp://127.0.0.1/other")) == 401
    assert client.status("DESCRIBE", Authorization=answered(client, "SETUP")) == 401


@pytest.mark.parametrize("user", ["ann", "eve"])
def test_an_answer_without_an_address(tmp_path: Path, user: str) -> None:
    """An answer that does not say for which address it is is none, whoever gives it, even where the address has no path."""
    client = world(tmp_path).client()
    client.status("DESCRIBE", "rtsp://127.0.0.1")
    header = answered(client, url="rtsp://127.0.0.1", user=user).replace(' uri="rtsp://127.0.0.1",', "")
    assert "uri" not in header
    assert client.status("DESCRIBE", "rtsp://127.0.0.1", Authorization=header) == 401


def test_the_path_alone(tmp_path: Path) -> None:
    """Clients that sign the path instead of the whole URL are right as well."""
    client = world(tmp_path).client()
    client.status("DESCRIBE")
    assert client.status("DESCRIBE", Authorization=answered(client, url="/cam")) == 200


def test_a_stolen_answer(tmp_path: Path) -> None:
    """An answer is worth nothing on another connection."""
    rtsp = world(tmp_path)
    client, thief = rtsp.client(), rtsp.client()
    client.status("DESCRIBE")
    stolen = answered(client)
    assert client.status("DESCRIBE", Authorization=stolen) == 200
    assert thief.status("DESCRIBE", Authorization=stolen) == 401
    assert 'stale="true"' in thief.responses[-1].headers.get("WWW-Authenticate")


def test_a_stale_nonce(tmp_path: Path) -> None:
    """A challenge can be answered for a minute; then there is a new one."""
    rtsp = world(tmp_path)
    client = rtsp.client()
    client.status("DESCRIBE")
    answer = answered(client)
    rtsp.pass_time(61)
    assert client.status("DESCRIBE", Authorization=answer) == 401
    assert 'stale="true"' in client.responses[-1].headers.get("WWW-Authenticate")
    assert client.status("DESCRIBE", Authorization=answered(client)) == 200


def test_guessing_gets_slow(tmp_path: Path) -> None:
    """Who guesses passwords is answered late, and in the end not heard."""
    rtsp = world(tmp_path, "Basic")
    clients = [rtsp.client() for _ in range(16)]
    answers = [client.say("DESCRIBE", Authorization=basic("ann", "guess")) for client in clients]
    statuses = [answer.status if answer is not None else None for answer in answers]
    assert statuses[:10] == [401] * 10
    assert None in statuses
    assert 403 in statuses


def test_publishing(tmp_path: Path) -> None:
    """A publisher that logs in may announce."""
    client = world(tmp_path, play=False).client()
    assert announce(client) == 401
    header = answered(client, "ANNOUNCE", NEW)
    body = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    assert client.status("ANNOUNCE", NEW, body, Content_Type="application/sdp", Authorization=header) == 200


def test_no_users(tmp_path: Path) -> None:
    """A users.lua that cannot be read lets nobody in."""
    rtsp = world(tmp_path)
    (tmp_path / "users.lua").write_text("users = ")
    assert rtsp.client().status("DESCRIBE") == 403
