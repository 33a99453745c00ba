"""Lists of addresses that an acceptor lets in or turns away: text files, one address or network a line.

::

    # the studio
    192.0.2.10
    198.51.100.0/24
    2001:db8:1::/48

Empty lines and what follows a ``#`` do not count. The files are read again when they change.
"""

import os
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

from twisted.logger import Logger

from ems.errors import CommandError

MAX_FILE = 256 << 10
"""Bytes of a list: it is read while everybody else waits."""

MAX_NETWORKS = 10_000
"""Entries of a list, which take 50 ms; more belongs into the machine's packet filter."""

Network = tuple[int, int]
"""An address family's version, and how many bits of an address do not count."""


class AddressSet:
    """A set of addresses and networks, in which an address is found by one look for each length of prefix."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._prefixes: dict[Network, set[int]] = {}
        for text in networks:
            self.add(text)

    def add(self, text: str) -> None:
        """Put in ``192.0.2.1`` or ``192.0.2.0/24``, bits behind the prefix ignored. Raises `ValueError` for anything else."""
        network = ip_network(text, strict=False)
        bits = network.max_prefixlen - network.prefixlen
        self._prefixes.setdefault((network.version, bits), set()).add(int(network.network_address) >> bits)

    def __len__(self) -> int:
        return sum(map(len, self._prefixes.values()))

    def __contains__(self, host: str) -> bool:
        """Whether the literal address is in one of the networks; an IPv4 address in IPv6's clothes counts as what it is."""
        address = ip_address(host.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        number = int(address)
        return any(
            number >> bits in prefixes for (version, bits), prefixes in self._prefixes.items() if version == address.version
        )


class AddressList:
    """A list in a file. While the file cannot be read the list stays as it was; a line that is no address is left out."""

    log = Logger()

    def __init__(self, path: Path) -> None:
        """Raises `CommandError` when the file cannot be read."""
        self.path = path
        self._stamp = _stamp(path)
        try:
            self._set = self._read()
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot read the addresses in {path}: {_reason(error)}") from error

    def current(self) -> AddressSet:
        """The addresses of now."""
        stamp = _stamp(self.path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._set = self._read()
            except (OSError, ValueError) as error:
                self.log.error("{path} stays as it was: {reason}", path=str(self.path), reason=_reason(error))
        return self._set

    def _read(self) -> AddressSet:
        with self.path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise ValueError(f"it has more than {MAX_FILE >> 10} KiB")
        found = AddressSet()
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            entry = line.partition("#")[0].strip()
            if number > MAX_NETWORKS:
                raise ValueError(f"it has more than {MAX_NETWORKS} lines")
            try:
                if entry:
                    found.add(entry)
            except ValueError:
                self.log.error("{path}:{number}: not an address or network", path=str(self.path), number=number)
        return found


class AddressFilter:
    """A whitelist and a blacklist, either of which may be missing.

    Who is on the blacklist stays outside; a whitelist that is not empty lets in nobody else.
    """

    def __init__(self, whitelist: Path | None, blacklist: Path | None) -> None:
        """Raises `CommandError` for a list that cannot be read."""
        self._white = AddressList(whitelist) if whitelist is not None else None
        self._black = AddressList(blacklist) if blacklist is not None else None

    def refusal(self, host: str) -> str:
        """Why a client of this address stays outside, empty when it does not. Unix sockets have no address and come in."""
        if not host:
            return ""
        if self._black is not None and host in self._black.current():
            return "its address is on the blacklist"
        white = self._white.current() if self._white is not None else AddressSet()
        return "its address is not on the whitelist" if len(white) and host not in white else ""


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when the file does."""
    try:
        status = os.stat(path)
    except OSError as error:
        return (error.errno or 0,)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
