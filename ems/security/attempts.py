"""Memory of those who try to log in: challenges that were given out, and how often an address has failed. Both are bounded."""

import secrets
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

TOKEN_BYTES = 16
"""Randomness of a challenge: 128 bits cannot be guessed."""


def origin_of(host: str) -> str:
    """Whom attempts are counted for: an IPv4 address, or the /64 network of an IPv6 one, which is a single customer's."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ip_network((address, 64), strict=False))


class Challenge(NamedTuple):
    """One challenge: for whom, with which salt, and until when (in the clock's seconds)."""

    user: str
    salt: str
    origin: str
    expires: float


class Challenges:
    """Challenges that wait for their response, by their opaque value. Each can be answered once, within `LIFETIME`."""

    LIFETIME = 60.0
    """Seconds: a client answers in one, a slow line takes some."""

    MAX = 4096
    """Challenges of all addresses: half a MiB."""

    MAX_PER_ORIGIN = 32
    """Of one address, so that nobody can drive out the challenges of others."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._issued: dict[str, Challenge] = {}
        self._per_origin: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._issued)

    def issue(self, user: str, salt: str, host: str) -> str:
        """Remember a new challenge and return its opaque value."""
        self._drop_expired()
        origin = origin_of(host)
        if self._per_origin[origin] >= self.MAX_PER_ORIGIN:
            self._drop(next(opaque for opaque, one in self._issued.items() if one.origin == origin))
        elif len(self._issued) >= self.MAX:
            self._drop(next(iter(self._issued)))
        opaque = secrets.token_urlsafe(TOKEN_BYTES)
        self._issued[opaque] = Challenge(user, salt, origin, self._now() + self.LIFETIME)
        self._per_origin[origin] += 1
        return opaque

    def take(self, opaque: str, user: str) -> Challenge | None:
        """The challenge of that opaque value, which is then used up; None when there is none for this user any more."""
        self._drop_expired()
        found = self._issued.get(opaque)
        if found is None:
            return None
        self._drop(opaque)
        return found if found.user == user else None

    def _drop_expired(self) -> None:
        now = self._now()
        # All live equally long, so the oldest expire first.
        while self._issued:
            opaque, oldest = next(iter(self._issued.items()))
            if oldest.expires > now:
                return
            self._drop(opaque)

    def _drop(self, opaque: str) -> None:
        origin = self._issued.pop(opaque).origin
        self._per_origin[origin] -= 1
        if not self._per_origin[origin]:
            del self._per_origin[origin]


class Throttle:
    """Slows down an address that fails to log in: `FREE` attempts a minute at once, and then one every few seconds.

    Each address has the moment at which its attempts would be used up if they came evenly (the *generic cell rate algorithm* of
    ATM). Attempts are charged when they come, not when they have failed, so that many at once do not help.
    """

    FREE = 10
    """Wrong passwords within a minute that people type and programs retry."""

    INTERVAL = 60.0 / FREE

    MAX_DELAY = 12.0
    """Seconds that an attempt may have to wait; who would have to wait longer is refused unheard. The connect time-out is 20."""

    MAX_ORIGINS = 4096

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._spent_until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._spent_until)

    def charge(self, host: str) -> float | None:
        """Count one attempt and return the seconds that its answer has to wait; None when it is not to be heard at all."""
        now = self._now()
        origin = origin_of(host)
        spent_until = max(self._spent_until.pop(origin, now), now)
        delay = spent_until + self.INTERVAL - now - self.FREE * self.INTERVAL
        if delay <= self.MAX_DELAY:
            spent_until += self.INTERVAL
        if len(self._spent_until) >= self.MAX_ORIGINS:
            self._forget_one(now)
        self._spent_until[origin] = spent_until
        return max(0.0, delay) if delay <= self.MAX_DELAY else None

    def succeeded(self, host: str) -> None:
        """The attempt was charged wrongly: it had the right password."""
        origin = origin_of(host)
        if origin in self._spent_until:
            self._spent_until[origin] -= self.INTERVAL

    def _forget_one(self, now: float) -> None:
        """Make room: those whose time is over go first, then whoever has been quiet for longest."""
        over = [origin for origin, spent_until in self._spent_until.items() if spent_until <= now]
        for origin in over or [next(iter(self._spent_until))]:
            del self._spent_until[origin]
