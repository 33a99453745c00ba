"""The Transport header (RFC 2326 §12.39): how a medium is to be carried, as the client asks and as the server decides.

::

    RTP/AVP;unicast;client_port=5000-5001                      RTP over UDP
    RTP/AVP/TCP;unicast;interleaved=0-1                        RTP inside the connection
    RTP/AVP;multicast;destination=239.5.5.1;port=7000-7001     RTP to a group
    RAW/RAW/UDP;unicast;client_port=5000-5001                  MPEG-TS in datagrams, without RTP (also MP2T/H2221/UDP)

A client may give several, the best first, between commas.
"""

from dataclasses import dataclass
from ipaddress import ip_address

Pair = tuple[int, int]

MAX_OFFERS = 16
"""Transports of one header: clients offer three."""

_PROFILES = ("RTP/AVP", "RTP/AVPF")
_RAW = ("RAW/RAW", "MP2T/H2221")


@dataclass(frozen=True, slots=True)
class Transport:
    """One transport. Pairs are of ports or of interleaved channels: RTP and RTCP. `mode` is PLAY or RECORD, empty for PLAY."""

    profile: str = "RTP/AVP"
    tcp: bool = False
    multicast: bool = False
    interleaved: Pair | None = None
    client_port: Pair | None = None
    server_port: Pair | None = None
    port: Pair | None = None
    destination: str = ""
    source: str = ""
    ttl: int | None = None
    ssrc: int | None = None
    mode: str = ""

    @property
    def raw(self) -> bool:
        """True for MPEG-TS without RTP around it."""
        return self.profile in _RAW

    def __str__(self) -> str:
        parts = [
            self.profile + ("/TCP" if self.tcp else "/UDP" if self.raw else ""),
            "multicast" if self.multicast else "unicast",
        ]
        addresses = (("destination", self.destination), ("source", self.source))
        parts += [f"{name}={value}" for name, value in addresses if value]
        pairs = (
            ("interleaved", self.interleaved),
            ("client_port", self.client_port),
            ("server_port", self.server_port),
            ("port", self.port),
        )
        parts += [f"{name}={pair[0]}-{pair[1]}" for name, pair in pairs if pair is not None]
        if self.ttl is not None:
            parts.append(f"ttl={self.ttl}")
        if self.ssrc is not None:
            parts.append(f"ssrc={self.ssrc:08X}")
        if self.mode:
            parts.append(f'mode="{self.mode}"')
        return ";".join(parts)


def parse_transports(header: str) -> list[Transport]:
    """The transports of a header that we know and that make sense, in order; others are left out (RFC 2326 §12.39)."""
    found = []
    for text in header.split(",")[:MAX_OFFERS]:
        transport = _parse(text.strip())
        if transport is not None:
            found.append(transport)
    return found


def _parse(text: str) -> Transport | None:
    protocol, *fields = (field.strip() for field in text.split(";"))
    known = _protocol(protocol.upper())
    if known is None:
        return None
    profile, tcp = known
    values = {}
    for field in fields:
        name, _, value = field.partition("=")
        values[name.strip().lower()] = value.strip().strip('"')
    try:
        return Transport(
            profile,
            tcp,
            "multicast" in values,
            _pair(values.get("interleaved"), 255),
            _pair(values.get("client_port"), 65_535),
            _pair(values.get("server_port"), 65_535),
            _pair(values.get("port"), 65_535),
            _address(values.get("destination", "")),
            _address(values.get("source", "")),
            _number(values["ttl"], 255) if "ttl" in values else None,
            _ssrc(values.get("ssrc", "")),
            _mode(values.get("mode", "")),
        )
    except ValueError:
        return None


def _protocol(text: str) -> tuple[str, bool] | None:
    """``RTP/AVP``, ``RTP/AVP/UDP``, ``RTP/AVP/TCP``: the profile, and whether it is inside the connection."""
    for profile in (*_PROFILES, *_RAW):
        lower = text.removeprefix(profile)
        if lower != text and lower in ("", "/UDP", "/TCP"):
            return profile, lower == "/TCP"
    return None


def _pair(text: str | None, largest: int) -> Pair | None:
    """``5000-5001``, or ``5000`` for a pair that begins there."""
    if text is None:
        return None
    first, dash, second = text.partition("-")
    low = _number(first, largest)
    return low, _number(second, largest) if dash else min(low + 1, largest)


def _number(text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= largest):
        raise ValueError(text)
    return int(text)


def _ssrc(text: str) -> int | None:
    """Eight hexadecimal digits; some servers write fewer, or nonsense, which nobody needs."""
    try:
        return int(text, 16) & 0xFFFFFFFF if text and len(text) <= 8 else None
    except ValueError:
        return None


def _address(text: str) -> str:
    """A literal address; a name is left out, as nobody should have to look it up."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _mode(text: str) -> str:
    """PLAY, RECORD (also written RECEIVE), or both of them, of which RECORD is meant."""
    return "RECORD" if "REC" in text.upper() else "PLAY" if text else ""
