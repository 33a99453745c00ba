"""The Adobe scheme's texts, as encoders read and write them."""

import base64
import hashlib

import pytest

from ems.security import adobe


def test_the_response_is_that_of_the_documents() -> None:
    """base64(md5(base64(md5(user + salt + password)) + opaque + challenge))."""

    def b64md5(text: str) -> str:
        return base64.b64encode(hashlib.md5(text.encode()).digest()).decode()

    salted = adobe.salted_hash("alice", "salt", "s3cret")
    assert salted == b64md5("alicesalts3cret")
    assert adobe.expected_response(salted, "opaque", "c2") == b64md5(salted + "opaque" + "c2")


def test_a_login_is_read_from_the_query() -> None:
    """Base64 keeps its plus and equals signs; percent-encoded values are decoded."""
    app = "live?authmod=adobe&user=al%69ce&challenge=ab+/==&response=x+y/z==&opaque=o=&token=t"
    assert adobe.read_credentials(app) == ("adobe", "alice", "ab+/==", "x+y/z==", "o=", "t")


@pytest.mark.parametrize("app", ["", "live", "live?", "live?&&&=", "live?authmod", "live?authmod=adobe&" + "x" * 3000])
def test_no_login_is_none(app: str) -> None:
    """A query without a user, or one of absurd length, is no login."""
    assert adobe.read_credentials(app).user == ""


def test_the_challenge_can_be_taken_apart() -> None:
    """A user name cannot forge the fields behind it."""
    text = adobe.challenge_description("a&salt=mine", "s", "c", "o")
    assert text.startswith("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&")
    assert text.endswith("&user=a%26salt%3Dmine&salt=s&challenge=c&opaque=o")


def test_a_made_up_salt_is_constant() -> None:
    """One name has one salt, which depends on the server's secret."""
    assert adobe.salt_for("a", b"1") == adobe.salt_for("a", b"1")
    assert len({adobe.salt_for(user, secret) for user in "ab" for secret in (b"1", b"2")}) == 4
    assert len(adobe.salt_for("a", b"1")) == 22
