"""How a client proves who it is to an RTMP server that asks: the Adobe and the Limelight scheme, as pure functions.

The server refuses the connect call with a description; the client connects again with more in its application's query::

    1  refused with  code=403 need auth; authmod=adobe      →  ?authmod=adobe&user=U
    2  refused with  ?reason=needauth&user=U&salt=S&challenge=C&opaque=O
                                                            →  ?authmod=adobe&user=U&challenge=C2&response=R&opaque=O
    3  refused with  ?reason=authfailed                     →  nothing more to try

Limelight's scheme has a nonce instead of salt and challenge, and a response like HTTP Digest's (RFC 2617).
"""

import secrets
from hashlib import md5
from urllib.parse import quote

from ems.security.adobe import expected_response, salted_hash

LIMELIGHT_REALM = "live"


def next_query(description: str, query: str, app: str, user: str, password: str) -> str | None:
    """The query for the next connect call, None when there is none: not asked, no credentials, or refused for good.

    `query` is the one that was refused, without its question mark, and `app` the application it went to.
    """
    scheme = next((name for name in ("adobe", "llnw") if f"authmod={name}" in description), "")
    if not scheme or not user or "reason=authfailed" in description or "reason=nosuchuser" in description:
        return None
    greeting = f"authmod={scheme}&user={quote(user)}"
    if "reason=needauth" not in description:
        return greeting if not query else None
    if "response=" in query:
        return None
    fields = _fields(description.partition("?")[2])
    if scheme == "llnw":
        return f"{greeting}&{_limelight(fields.get('nonce', ''), app, user, password)}"
    challenge = secrets.token_hex(4)
    opaque = fields.get("opaque", "")
    salted = salted_hash(user, fields.get("salt", ""), password)
    # Without an opaque value the server's challenge takes its place.
    response = expected_response(salted, opaque or fields.get("challenge", ""), challenge)
    tail = f"&opaque={opaque}" if opaque else ""
    return f"{greeting}&challenge={challenge}&response={response}{tail}"


def _limelight(nonce: str, app: str, user: str, password: str) -> str:
    cnonce, count = secrets.token_hex(4), "00000001"
    who = _hex(f"{user}:{LIMELIGHT_REALM}:{password}")
    what = _hex(f"publish:/{app}/_definst_")
    response = _hex(f"{who}:{nonce}:{count}:{cnonce}:auth:{what}")
    return f"nonce={nonce}&cnonce={cnonce}&nc={count}&response={response}"


def _fields(query: str) -> dict[str, str]:
    """The fields of a query that is not percent-encoded: base64 values keep their ``+`` and ``=``."""
    return dict(pair.partition("=")[::2] for pair in query.strip().split("&") if pair)


def _hex(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
