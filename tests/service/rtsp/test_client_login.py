"""Logging in to other people's RTSP servers, by every scheme that they ask for."""

import hashlib
import re

import pytest

from ems.protocols.rtsp.client_login import Login, read_challenges

URI = "rtsp://192.0.2.1/cam"


def fields_of(authorization: str) -> dict[str, str]:
    """The parameters of a Digest answer."""
    return {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', authorization)}


def digest(algorithm: str, *parts: str) -> str:
    """A hash of parts with colons between them."""
    return hashlib.new(algorithm, ":".join(parts).encode()).hexdigest()


def test_basic() -> None:
    """A camera that asks for Basic gets user and password in base64 (the example of RFC 7617 §2)."""
    login = Login("Aladdin", "open sesame")
    assert login.authorization("DESCRIBE", URI) == ""
    assert login.challenged(['Basic realm="WallyWorld"'], again=False)
    assert login.authorization("DESCRIBE", URI) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_the_example_of_the_standard() -> None:
    """RFC 2617 §3.5, as far as it does not depend on our own nonce."""
    login = Login("Mufasa", "Circle Of Life")
    nonce, opaque = "dcd98b7102dd2f0e8b11d0f600bfb0c093", "5ccc069c403ebaf9f0171e9517f40e41"
    challenge = f'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="{nonce}", opaque="{opaque}"'
    assert login.challenged([challenge], again=False)
    fields = fields_of(login.authorization("GET", "/dir/index.html"))
    secret = "939e7578ed9e3c518a452acee763bce9"
    assert fields["opaque"] == opaque
    assert fields["response"] == digest(
        "md5", secret, nonce, "00000001", fields["cnonce"], "auth", "39aff3a2bab6126f332b942af96d3366"
    )


@pytest.mark.parametrize(("algorithm", "name"), [("", "md5"), ("MD5", "md5"), ("SHA-256", "sha256"), ("sha-256", "sha256")])
def test_digest_without_qop(algorithm: str, name: str) -> None:
    """The Digest of cameras: no qop, with and without the name of an algorithm."""
    login = Login("admin", "p:w")
    said = f", algorithm={algorithm}" if algorithm else ""
    assert login.challenged([f'Digest realm="IP Camera(12)", nonce="abc"{said}'], again=False)
    fields = fields_of(login.authorization("PLAY", URI))
    expected = digest(name, digest(name, "admin", "IP Camera(12)", "p:w"), "abc", digest(name, "PLAY", URI))
    assert fields["response"] == expected
    assert "cnonce" not in fields
    assert fields.get("algorithm", "") == algorithm


def test_session_algorithms() -> None:
    """MD5-sess binds the password to both nonces."""
    login = Login("u", "p")
    assert login.challenged(['Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess'], again=False)
    fields = fields_of(login.authorization("PLAY", URI))
    secret = digest("md5", digest("md5", "u", "r", "p"), "n", fields["cnonce"])
    assert fields["response"] == digest("md5", secret, "n", "00000001", fields["cnonce"], "auth", digest("md5", "PLAY", URI))


def test_requests_are_counted() -> None:
    """With qop each request has the next number, and a new nonce begins anew."""
    login = Login("u", "p")
    for nonce in ("one", "two"):
        assert login.challenged([f'Digest realm="r", nonce="{nonce}", qop="auth"'], again=False)
        numbers = [fields_of(login.authorization("PLAY", URI))["nc"] for _ in range(3)]
        assert numbers == ["00000001", "00000002", "00000003"]


def test_the_strongest_challenge_counts() -> None:
    """Of what a server offers, in one header or several, we take the safest."""
    login = Login("u", "p")
    offered = ['Basic realm="r", Digest realm="r", nonce="m"', 'Digest realm="r", nonce="s", algorithm="SHA-256"', "Negotiate"]
    assert [challenge.scheme for challenge in read_challenges(offered)] == ["basic", "digest", "digest", "negotiate"]
    assert login.challenged(offered, again=False)
    assert fields_of(login.authorization("PLAY", URI))["nonce"] == "s"


@pytest.mark.parametrize("value", ["", "Negotiate", "Digest", 'Digest realm="r"', 'Digest nonce="n", qop="auth-int"', '=",,"=\\'])
def test_challenges_that_nobody_can_answer(value: str) -> None:
    """What we cannot answer is not answered."""
    assert not Login("u", "p").challenged([value], again=False)


def test_a_wrong_password_is_not_tried_twice() -> None:
    """When the answer is refused we give up, but not when only the nonce was too old."""
    login = Login("u", "p")
    assert login.challenged(['Digest realm="r", nonce="1"'], again=False)
    assert not login.challenged(['Digest realm="r", nonce="2"'], again=True)
    assert login.challenged(['Digest realm="r", nonce="3", stale=TRUE'], again=True)
    assert fields_of(login.authorization("PLAY", URI))["nonce"] == "3"


def test_nobody_logs_in_without_a_user() -> None:
    """An address without a user cannot answer."""
    assert not Login("", "").challenged(['Basic realm="r"'], again=False)


def test_quotation_marks_are_kept() -> None:
    """A realm with quotation marks is hashed as it is meant and written as it must be."""
    login = Login("u", "p")
    assert login.challenged(['Digest realm="a \\"b\\"", nonce="n"'], again=False)
    authorization = login.authorization("PLAY", URI)
    assert 'realm="a \\"b\\""' in authorization
    assert digest("md5", digest("md5", "u", 'a "b"', "p"), "n", digest("md5", "PLAY", URI)) in authorization
