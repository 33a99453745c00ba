"""The Adobe scheme, by which RTMP encoders log in: pure functions from texts to texts.

A client is refused at ``connect`` and learns from the refusal's description what to do next; it comes back on a new connection
with more in the query of its application::

    live                                                          → code=403 need auth; authmod=adobe
    live?authmod=adobe&user=alice                                 → ?reason=needauth&user=…&salt=…&challenge=…&opaque=…
    live?authmod=adobe&user=alice&challenge=…&response=…&opaque=… → in, or ?reason=authfailed

The last ``challenge`` is the client's own. What is proved is that it knows the password, with `+` for joined texts::

    response = base64(md5( base64(md5(user + salt + password)) + opaque + challenge ))

MD5 is what every encoder has built in. It keeps passwords from being read on the way; it does not keep somebody who records a
login from trying passwords at home. RTMPS does.
"""

import hashlib
from base64 import b64encode, urlsafe_b64encode
from typing import NamedTuple
from urllib.parse import quote, unquote

NEED_AUTHENTICATION = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
"""The description of the first refusal: log in, by this scheme."""

FAILED = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=vgoAAA=="
"""The description of the last refusal, the same for a wrong password, an unknown user and a challenge that is not known."""

MAX_QUERY = 2048
"""Characters of an application's query that are read: a login takes two hundred."""


class Credentials(NamedTuple):
    """What the query of an application says: a login (`scheme` is ``adobe``), or a `token`."""

    scheme: str = ""
    user: str = ""
    challenge: str = ""
    response: str = ""
    opaque: str = ""
    token: str = ""


def read_credentials(app: str) -> Credentials:
    """The credentials in the text of an application: ``live?authmod=adobe&user=alice``. Nothing of too long a query."""
    query = app.partition("?")[2]
    if len(query) > MAX_QUERY:
        return Credentials()
    # No `parse_qs`: the values are base64, in which a plus sign is no blank.
    pairs = (pair.partition("=") for pair in query.split("&"))
    values = {name: unquote(value) for name, _, value in pairs}
    keys = ("authmod", "user", "challenge", "response", "opaque", "token")
    return Credentials(*(values.get(key, "") for key in keys))


def challenge_description(user: str, salt: str, challenge: str, opaque: str) -> str:
    """The description of the second refusal, which carries the challenge."""
    values = f"user={quote(user)}&salt={salt}&challenge={challenge}&opaque={opaque}"
    return f"[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&{values}"


def salted_hash(user: str, salt: str, password: str) -> str:
    """What the server has to know of a password: base64 of the MD5 of user, salt and password."""
    return _base64_md5(user + salt + password)


def expected_response(salted: str, opaque: str, challenge: str) -> str:
    """The response that who knows the password gives; `salted` is `salted_hash`, `challenge` the client's."""
    return _base64_md5(salted + opaque + challenge)


def salt_for(user: str, secret: bytes) -> str:
    """A salt for a user who has none of their own: always the same for one name and secret, and not to be foreseen."""
    digest = hashlib.blake2b(user.encode(errors="surrogatepass"), key=secret, digest_size=16).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def _base64_md5(text: str) -> str:
    digest = hashlib.md5(text.encode(errors="surrogatepass"), usedforsecurity=False).digest()
    return b64encode(digest).decode()
