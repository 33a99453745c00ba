"""Where the server may connect to when a command tells it to.

Whoever can give commands can have the server fetch from addresses that only the server reaches (*server-side request forgery*).
Hosts of the own network are what such a server is for; but nobody streams from the services that a cloud offers to its machines
at link-local addresses, where credentials lie, and a name may resolve to such an address. So the address is looked at, after it
has been resolved and before anything is sent.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ems.errors import CommandError
from ems.uri import Uri

DATAGRAM_SCHEMES = frozenset(("rtp", "mpegtsudp", "dmpegtsudp"))
"""Schemes that may go to, and come from, a multicast group, and go to everybody."""

METADATA_ADDRESSES = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200")))
"""Metadata services of clouds at addresses that are not link-local (Amazon over IPv6, Alibaba)."""

BROADCAST = IPv4Address("255.255.255.255")
"""Everybody in the own network; it is one of the reserved addresses."""

_TRANSLATED = ip_network("64:ff9b::/96")
"""IPv6 addresses behind which an IPv4 one lies (RFC 6052)."""

Address = IPv4Address | IPv6Address


def check_destination(uri: Uri, address: str) -> None:
    """Raise `CommandError`, in words for the caller, unless the server may connect to `uri`, whose host is at `address`.

    Schemes are the business of those who serve them; only files are nothing to connect to. `address` is a literal IPv4 or IPv6
    address, with or without a zone. Call it for every address that is going to be used.
    """
    if uri.scheme == "file":
        raise CommandError("the server does not connect to files")
    try:
        literal = ip_address(address.partition("%")[0])
    except ValueError:
        raise CommandError(f"{address[:80]!r} is not an IP address") from None
    for one in (literal, *_embedded(literal)):
        reason = _refusal(one, datagrams=uri.scheme in DATAGRAM_SCHEMES)
        if reason:
            raise CommandError(f"the server does not connect to {uri.host[:253]} ({address[:80]}): {reason}")


def _refusal(address: Address, *, datagrams: bool) -> str:
    if address.is_link_local or address in METADATA_ADDRESSES:
        return "link-local addresses and metadata services are out of bounds"
    if address.is_multicast:
        return "" if datagrams else "it is a multicast group, which takes RTP or MPEG-TS over UDP"
    if address == BROADCAST and datagrams:
        return ""
    # 240.0.0.0/4 with the broadcast address; of IPv6 almost everything is "reserved", global addresses excepted.
    if isinstance(address, IPv4Address) and address.is_reserved:
        return "it is a reserved address"
    return ""


def _embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, 6to4, Teredo and translated ones."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _TRANSLATED:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]
