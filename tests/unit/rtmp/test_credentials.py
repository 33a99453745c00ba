"""Proving who we are to servers that ask: Adobe's and Limelight's scheme."""

import hashlib
from base64 import b64encode

from ems.protocols.rtmp.credentials import next_query

ASKED = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
CHALLENGED = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=ann&salt=S+lt==&challenge=ch+A=&opaque=oP+q="
FAILED = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=vgoAAA=="


def md5_64(text: str) -> str:
    """base64(MD5(text)), the scheme's building block."""
    return b64encode(hashlib.md5(text.encode()).digest()).decode()


def fields(query: str) -> dict[str, str]:
    """The fields of a query."""
    return dict(pair.partition("=")[::2] for pair in query.split("&"))


def test_first_the_user_is_named() -> None:
    """A server that wants to know who we are gets the user's name."""
    assert next_query(ASKED, "", "live", "ann", "pw") == "authmod=adobe&user=ann"


def test_then_the_challenge_is_answered() -> None:
    """The response is made of the server's salt and opaque value and a challenge of our own."""
    answer = fields(next_query(CHALLENGED, "authmod=adobe&user=ann", "live", "ann", "pw") or "")
    assert answer["opaque"] == "oP+q="
    assert answer["response"] == md5_64(md5_64("annS+lt==pw") + "oP+q=" + answer["challenge"])


def test_without_opaque_the_servers_challenge_counts() -> None:
    """Servers that send no opaque value expect their challenge in its place."""
    answer = fields(next_query(CHALLENGED.partition("&opaque")[0], "authmod=adobe&user=ann", "live", "ann", "pw") or "")
    assert "opaque" not in answer
    assert answer["response"] == md5_64(md5_64("annS+lt==pw") + "ch+A=" + answer["challenge"])


def test_each_challenge_is_another() -> None:
    """Two answers to one challenge differ: our own challenge is random."""
    assert next_query(CHALLENGED, "q", "live", "ann", "pw") != next_query(CHALLENGED, "q", "live", "ann", "pw")


def test_limelight_is_answered_like_digest() -> None:
    """Limelight's scheme: a digest with the realm live, over the application's path."""
    description = "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=ann&nonce=n0nce"
    answer = fields(next_query(description, "authmod=llnw&user=ann", "live", "ann", "pw") or "")
    who, what = (hashlib.md5(text.encode()).hexdigest() for text in ("ann:live:pw", "publish:/live/_definst_"))
    expected = hashlib.md5(f"{who}:n0nce:00000001:{answer['cnonce']}:auth:{what}".encode()).hexdigest()
    assert answer["response"] == expected


def test_there_is_an_end_to_it() -> None:
    """Wrong credentials, a server that asks again, one that does not ask at all, and no credentials: nothing more is tried."""
    assert next_query(FAILED, "authmod=adobe&user=ann&challenge=c&response=r", "live", "ann", "pw") is None
    assert next_query(ASKED, "authmod=adobe&user=ann", "live", "ann", "pw") is None
    assert next_query(CHALLENGED, "authmod=adobe&user=ann&challenge=c&response=r", "live", "ann", "pw") is None
    assert next_query("NetConnection.Connect.InvalidApp", "", "live", "ann", "pw") is None
    assert next_query(ASKED, "", "live", "", "") is None
